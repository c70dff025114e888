"""One task on its way through the pipeline."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally, TaskResult
from cvbatch.formats.precomputed import Cell
from cvbatch.geometry import Bbox, ChunkGrid, Vec, ceil_div
from cvbatch.memory import Arena, SharedBlock
from cvbatch.metadata import Task
from cvbatch.ops import downsample
from cvbatch.pipeline.pools import Pools, finish_all
from cvbatch.pipeline.work import PassWork
from cvbatch.planner import PassLevel, Route, blocks_at_once, keeps_voxels, slab_bytes
from cvbatch.storage import Blob


def run_task(work: PassWork, index: int, pools: Pools, arena: Arena) -> TaskResult:
    """Fetch what task ``index`` of the pass reads, make the coarser levels, give all to the sinks; what was done.

    Block by block, and with threads the next block is fetched meanwhile. Without coarser levels and without a change of
    grid nothing is kept: each chunk goes its own way, and the task is one block. Raises what went wrong first. Nothing
    of the task runs any more when this returns or raises.
    """
    box = work.each.box(index)
    cells = tuple(
        sink.cell(work.each.level_box(level, box)) for level, sink in zip(work.each.levels, work.sinks, strict=True)
    )
    around = _Surroundings(pools, arena, Tally(), cells)
    blocks = work.each.blocks(box) if keeps_voxels(work.route, work.each) else ChunkGrid(box, box.size())
    begun: deque[_BlockRun] = deque()
    try:
        for number in range(len(blocks)):
            begun.append(_start_block(work, blocks.box(blocks.index(number)), around))
            if len(begun) == blocks_at_once(pools.threads):
                begun.popleft().finish()
        while begun:
            begun.popleft().finish()
    finally:
        for block in begun:
            block.release()
    with around.tally.stage("store"):
        for cell in cells:
            cell.finish()
    return around.tally.result(Task(work.plan.job.id, work.each.number, index).name)


@dataclass(frozen=True)
class _Surroundings:
    """What the blocks of a task share. ``cells`` take the chunks of each level to the store."""

    pools: Pools
    arena: Arena
    tally: Tally
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _BlockRun:
    """A block whose chunks are being fetched. ``block`` holds its voxels; it is None where none are kept."""

    work: PassWork
    box: Bbox
    around: _Surroundings
    block: SharedBlock | None
    fetching: list[Future[None]]

    def finish(self) -> None:
        """Wait for the chunks, make the coarser levels, store them all."""
        try:
            finish_all(self.fetching)
            if self.block is not None:
                self._store_levels(_Slab(self.work, self.box, self.block))
        finally:
            self.release()

    def release(self) -> None:
        """Give back the memory, when nothing uses it any more."""
        for future in self.fetching:
            future.exception()
        if self.block is not None:
            self.around.arena.give(self.block)

    def _store_levels(self, slab: _Slab) -> None:
        storing: list[Future[None]] = []
        voxels = slab.first
        try:
            for number, level in enumerate(self.work.each.levels):
                if level.factor != slab.factor:
                    with self.around.tally.stage("downsample"):
                        voxels = downsample(
                            voxels,
                            level.level.factor,
                            self.work.kernel,
                            self.work.plan.job.background,
                            out=slab.coarser(level),
                        )
                elif self.work.route is Route.COPY:
                    continue  # Its chunks went through as they were.
                storing += self._store(number, level, voxels)
        finally:
            for future in storing:
                future.exception()
        finish_all(storing)

    def _store(self, number: int, level: PassLevel, voxels: Voxels) -> list[Future[None]]:
        """Cut a level into chunks, and give each of them to the sink."""
        sink, cell, tally = self.work.sinks[number], self.around.cells[number], self.around.tally
        made = self.work.each.level_box(level, self.box)
        grid = sink.chunks.grid
        return [
            self.around.pools.store.submit(
                sink.write, cell, index, voxels[(grid.box(index) - made.minpt).to_slices()], tally
            )
            for index in grid.indices(made)
        ]


class _Slab:
    """The voxels of a block in one segment: those that its chunks make first, the coarser levels behind them."""

    def __init__(self, work: PassWork, box: Bbox, block: SharedBlock) -> None:
        self._work, self._box, self._block = work, box, block

    @cached_property
    def factor(self) -> Vec:
        """Voxels that are read for one of :attr:`first`."""
        return self._work.each.levels[0].factor if self._work.downsamples_chunks else Vec.ones()

    @cached_property
    def first(self) -> Voxels:
        """What the chunks make: the level that is read, or the first one that is written."""
        return self._array(0, ceil_div(self._box.size(), self.factor))

    def coarser(self, level: PassLevel) -> Voxels:
        """A level that is made of one before it."""
        each = self._work.each
        before = [other for other in each.levels if other.number < level.number and other.factor != self.factor]
        voxels = sum(each.level_box(other, self._box).volume() for other in before)
        offset = self.first.nbytes + voxels * self._work.plan.job.voxel.nbytes
        return self._array(offset, each.level_box(level, self._box).size())

    def _array(self, offset: int, size: Vec) -> Voxels:
        voxel = self._work.plan.job.voxel
        return self._block.array(offset, (*size, voxel.channels), voxel.dtype)


def _start_block(work: PassWork, box: Bbox, around: _Surroundings) -> _BlockRun:
    """Begin to fetch what a block reads."""
    read_box = box - work.shift
    keep = keeps_voxels(work.route, work.each)
    block = around.arena.take(slab_bytes(work.plan.job, work.each.levels, box.size())) if keep else None
    slab = _Slab(work, box, block) if block is not None else None
    step = _Step(work, read_box, slab, around)
    chunks = work.reader.chunks
    fetching = [around.pools.fetch.submit(step.do, group) for group in chunks.groups(chunks.grid.indices(read_box))]
    return _BlockRun(work, box, around, block, fetching)


@dataclass(frozen=True)
class _Step:
    """What is done with each chunk of the source. ``slab`` has the voxels of ``box``, if they are kept."""

    work: PassWork
    box: Bbox
    slab: _Slab | None
    around: _Surroundings

    @property
    def tally(self) -> Tally:
        return self.around.tally

    @property
    def cell(self) -> Cell:
        """Where the chunks of the first level go."""
        return self.around.cells[0]

    def do(self, group: list[Vec]) -> None:
        """Fetch chunks that are read in one go, and do what the route says with each."""
        through = self.work.through
        if through is not None and through.inside is not None:
            for index in group:
                through.send_inside(through.inside, self.cell, index, self._target(index), self.tally)
            return
        does = {Route.BUILD: self._paint, Route.RECODE: self._recode, Route.COPY: self._copy}[self.work.route]
        for index, blob in self.work.reader.fetch_group(group, self.tally):
            self.work.reader.use(index, blob, does)

    def _recode(self, index: Vec, blob: Blob | None) -> None:
        """Decode the one chunk, and give it to the sink."""
        reader, (sink, *_) = self.work.reader, self.work.sinks
        voxels = reader.empty(index) if blob is None else reader.decode(index, blob, self.tally)
        sink.write(self.cell, self._target(index), voxels, self.tally)

    def _copy(self, index: Vec, blob: Blob | None) -> None:
        """Pass the bytes through."""
        assert self.work.through is not None
        self.work.through.send(self.cell, index, blob, self._target(index), self.tally)
        if self.slab is not None:
            self._paint(index, blob)

    def _paint(self, index: Vec, blob: Blob | None) -> None:
        """Decode into the block's voxels."""
        assert self.slab is not None
        if self.slab.factor == Vec.ones():
            self.work.reader.paint(index, blob, self.slab.first, self.box, self.tally)
        else:
            self._downsample(index, blob, self.slab.first, self.slab.factor)

    def _downsample(self, index: Vec, blob: Blob | None, coarser: Voxels, factor: Vec) -> None:
        """Decode, and put what is made of the chunk alone where it belongs."""
        reader, background = self.work.reader, self.work.plan.job.background
        voxels = reader.crop(index, blob, self.box, self.tally)
        shared = reader.chunks.grid.box(index).intersection(self.box) - self.box.minpt
        place = coarser[Bbox(shared.minpt // factor, ceil_div(shared.maxpt, factor)).to_slices()]
        with self.tally.stage("downsample"):
            if voxels is None:
                place[...] = background
            else:
                downsample(voxels, factor, self.work.kernel, background, out=place)

    def _target(self, index: Vec) -> Vec:
        """The index of the same chunk in the first level, whose grid agrees but may begin elsewhere."""
        grid = self.work.sinks[0].chunks.grid
        first_voxel = self.work.reader.chunks.grid.box(index).minpt + self.work.shift
        return (first_voxel - grid.bounds.minpt) // grid.cell
