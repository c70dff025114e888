"""A plan: the passes of a job and their tasks, each computed from its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from cvbatch.formats.precomputed import layout_of
from cvbatch.geometry import Bbox, ChunkGrid, Vec, ceil_div
from cvbatch.metadata import Job, Level, PassSpec, PlanSpec, ScaleInfo, Task


@dataclass(frozen=True)
class PassLevel:
    """A level that a pass writes. ``factor`` counts voxels of the pass's base for one voxel of this level.

    ``write_cell`` is the smallest box of its voxels that can be written on its own.
    """

    number: int
    level: Level
    factor: Vec
    write_cell: Vec


@dataclass(frozen=True)
class Pass:
    """One walk over the region: reads the base level, writes one or more coarser ones.

    ``base`` are the bounds of the level that is read, ``grid`` the region cut into tasks; both in voxels
    of that level, in the destination's coordinates. ``block`` is what of a task is in memory at a time. ``picked`` are
    the cells that a sample is made of; None for all.
    """

    number: int
    base: Bbox
    levels: tuple[PassLevel, ...]
    grid: ChunkGrid
    block: Vec
    picked: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.grid) if self.picked is None else len(self.picked)

    def cell(self, index: int) -> int:
        """The number that a task has where none is left out."""
        return index if self.picked is None else self.picked[index]

    def box(self, index: int) -> Bbox:
        """What a task reads, in voxels of the base level."""
        return self.grid.box(self.grid.index(self.cell(index)))

    @property
    def voxels(self) -> int:
        """How many voxels of the base level all tasks read, if they are of one size."""
        return self.grid.bounds.volume() * len(self) // len(self.grid)

    def blocks(self, box: Bbox) -> ChunkGrid:
        """The box of a task, cut into its blocks."""
        return ChunkGrid(box, self.block)

    def level_box(self, level: PassLevel, box: Bbox) -> Bbox:
        """The voxels of ``level`` that are made from ``box`` of the base level."""
        relative = box - self.base.minpt
        made = Bbox(relative.minpt // level.factor, ceil_div(relative.maxpt, level.factor))
        return made + level.level.scale.voxel_offset


@dataclass(frozen=True)
class Plan:
    """All tasks of a job, in the order of passes. ``plan[i]`` takes the same time for any ``i``."""

    job: Job
    spec: PlanSpec

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        passes: list[Pass] = []
        region = self.job.region
        for number, spec in enumerate(self.spec.passes):
            made = make_pass(self.job, number, spec, region)
            passes.append(made)
            region = made.level_box(made.levels[-1], region)
        return tuple(passes)

    def __len__(self) -> int:
        return sum(map(len, self.passes))

    def __getitem__(self, i: int) -> Task:
        if i < 0:
            raise IndexError(i)
        for each in self.passes:
            if i < len(each):
                return Task(self.job.id, each.number, i)
            i -= len(each)
        raise IndexError(f"a plan of {len(self)} tasks")

    def __iter__(self) -> Iterator[Task]:
        return (self[i] for i in range(len(self)))

    def box(self, task: Task) -> Bbox:
        """What a task reads, in voxels of the level that its pass reads."""
        return self.passes[task.pass_number].box(task.index)


def base_scale(job: Job, first: int) -> ScaleInfo:
    """The scale whose chunks a pass that begins with level ``first`` reads."""
    return job.source.scale if first == 0 else job.levels[first - 1].scale


def base_bounds(job: Job, first: int) -> Bbox:
    """The bounds of the level that such a pass reads, in the destination's coordinates."""
    if first > 0:
        return job.levels[first - 1].scale.bounds
    if job.levels[0].factor == Vec.ones():
        # A transfer: cells are counted from where the destination begins.
        return job.levels[0].scale.bounds
    return job.source.scale.bounds + job.translate


def pass_levels(job: Job, first: int, stop: int) -> tuple[PassLevel, ...]:
    """Levels [first, stop) with their factors from the level that is read."""
    factor = Vec.ones()
    levels = []
    for number in range(first, stop):
        level = job.levels[number]
        factor = factor * level.factor
        levels.append(PassLevel(number, level, factor, layout_of(level.scale).write_cell(level.scale)))
    return tuple(levels)


def make_pass(job: Job, number: int, spec: PassSpec, region: Bbox) -> Pass:
    """The pass that ``spec`` describes over ``region`` (voxels of the level that it reads)."""
    return Pass(
        number,
        base_bounds(job, spec.first),
        pass_levels(job, spec.first, spec.stop),
        ChunkGrid(region, spec.task_shape),
        spec.block_shape,
        spec.picked,
    )
