"""One task on its way through the pipeline."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Counts, Tally
from cvbatch.geometry import Bbox, Vec
from cvbatch.memory import Arena, SharedBlock
from cvbatch.ops import downsample
from cvbatch.pipeline.pools import Pools, finish_all
from cvbatch.pipeline.work import PassWork
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.planner import PassLevel, Route, keeps_voxels, slab_bytes
from cvbatch.storage import Blob


@dataclass(frozen=True)
class TaskRun:
    """A task whose chunks are being fetched. ``block`` holds its voxels; it is None where none are kept."""

    work: PassWork
    box: Bbox
    pools: Pools
    arena: Arena
    tally: Tally
    block: SharedBlock | None
    fetching: list[Future[None]]

    def finish(self) -> Counts:
        """Wait for the chunks, make the coarser levels, store everything; what was done.

        Raises what went wrong first. Nothing of the task runs any more when this returns or raises.
        """
        try:
            finish_all(self.fetching)
            if self.block is not None:
                self._store_levels(_Slab(self.work, self.box, self.block))
        finally:
            self.release()
        return self.tally.counts()

    def release(self) -> None:
        """Give back the memory, when nothing uses it any more."""
        for future in self.fetching:
            future.exception()
        if self.block is not None:
            self.arena.give(self.block)

    def _store_levels(self, slab: _Slab) -> None:
        storing: list[Future[None]] = []
        voxels = slab.base
        try:
            for level, writer in zip(self.work.each.levels, self.work.writers, strict=True):
                if level.level.factor != Vec.ones():
                    with self.tally.stage("downsample"):
                        voxels = downsample(
                            voxels,
                            level.level.factor,
                            self.work.kernel,
                            self.work.plan.job.background,
                            out=slab.level(level),
                        )
                elif self.work.route is Route.COPY:
                    continue  # Its chunks went through as they were.
                storing += self._store(level, writer, voxels)
        finally:
            for future in storing:
                future.exception()
        finish_all(storing)

    def _store(self, level: PassLevel, writer: ChunkWriter, voxels: Voxels) -> list[Future[None]]:
        """Cut a level into chunks, and encode and store each of them."""
        made = self.work.each.level_box(level, self.box)
        grid = writer.chunks.grid
        return [
            self.pools.store.submit(writer.write, index, voxels[(grid.box(index) - made.minpt).to_slices()], self.tally)
            for index in grid.indices(made)
        ]


class _Slab:
    """The voxels of a task in one segment: the base level first, the coarser ones behind it."""

    def __init__(self, work: PassWork, box: Bbox, block: SharedBlock) -> None:
        self._work, self._box, self._block = work, box, block

    @cached_property
    def base(self) -> Voxels:
        return self._array(0, self._box.size())

    def level(self, level: PassLevel) -> Voxels:
        each, voxel = self._work.each, self._work.plan.job.voxel
        before = [other for other in each.levels if other.number < level.number and other.factor != Vec.ones()]
        voxels = self._box.volume() + sum(each.level_box(other, self._box).volume() for other in before)
        return self._array(voxels * voxel.nbytes, each.level_box(level, self._box).size())

    def _array(self, offset: int, size: Vec) -> Voxels:
        voxel = self._work.plan.job.voxel
        return self._block.array(offset, (*size, voxel.channels), voxel.dtype)


def start_task(work: PassWork, index: int, pools: Pools, arena: Arena) -> TaskRun:
    """Begin to fetch what task ``index`` of the pass reads, and return while that goes on.

    Without coarser levels and without a change of grid nothing is kept: each chunk goes its own way.
    """
    box = work.each.box(index)
    tally = Tally()
    read_box = box - work.shift
    indices = list(work.reader.chunks.grid.indices(read_box))
    keep = keeps_voxels(work.route, work.each)
    block = arena.take(slab_bytes(work.plan.job, work.each.levels, box.size())) if keep else None
    base = _Slab(work, box, block).base if block else None
    step = _Step(work, read_box, base, tally)
    does = {Route.BUILD: step.paint, Route.RECODE: step.recode, Route.COPY: step.copy}[work.route]
    fetching = [pools.fetch.submit(does, chunk) for chunk in indices]
    return TaskRun(work, box, pools, arena, tally, block, fetching)


@dataclass(frozen=True)
class _Step:
    """What is done with each chunk of the source. ``base`` are the voxels of ``box``, if they are kept."""

    work: PassWork
    box: Bbox
    base: Voxels | None
    tally: Tally

    def paint(self, index: Vec) -> None:
        """Decode into the task's voxels."""
        self._paint(index, self.work.reader.fetch(index, self.tally))

    def recode(self, index: Vec) -> None:
        """Decode and encode the one chunk."""
        reader, (writer, *_) = self.work.reader, self.work.writers
        blob = reader.fetch(index, self.tally)
        voxels = reader.empty(index) if blob is None else reader.decode(index, blob, self.tally)
        writer.write(self._target(index), voxels, self.tally)

    def copy(self, index: Vec) -> None:
        """Pass the bytes through, with other compression where it has to change."""
        reader, (writer, *_) = self.work.reader, self.work.writers
        blob = reader.fetch(index, self.tally)
        if blob is None:
            writer.write(self._target(index), reader.empty(index), self.tally)
        elif self.work.plan.job.compress.accepts(blob.encoding, writer.compression.encoding):
            reader.check_whole(index, blob)
            self.tally.add(chunks_copied=1)
            writer.put(self._target(index), blob, self.tally)
        else:
            changed = writer.recompress(reader.unpack(index, blob), self.tally)
            writer.put(self._target(index), changed, self.tally)
        if self.base is not None:
            self._paint(index, blob)

    def _paint(self, index: Vec, blob: Blob | None) -> None:
        assert self.base is not None
        self.work.reader.paint(index, blob, self.base, self.box, self.tally)

    def _target(self, index: Vec) -> Vec:
        """The index of the same chunk in the first level, whose grid agrees but may begin elsewhere."""
        grid = self.work.writers[0].chunks.grid
        first_voxel = self.work.reader.chunks.grid.box(index).minpt + self.work.shift
        return (first_voxel - grid.bounds.minpt) // grid.cell
