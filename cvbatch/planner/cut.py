"""Cutting a job into passes and tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cvbatch.errors import MemoryBudgetError
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata import Job, PassSpec, PlanSpec
from cvbatch.planner.align import write_unit
from cvbatch.planner.memory import projected_bytes, slab_bytes
from cvbatch.planner.plan import PassLevel, base_scale, make_pass, pass_levels

# Growing a task beyond this gains nothing, and costs balance between workers and work lost at a kill.
ENOUGH_BYTES = 32 << 20
# Nor is a pass cut into fewer tasks a process than this for the sake of larger ones.
ENOUGH_TASKS_A_PROCESS = 16
# Fewer than this leave processes idle: then the coarser levels wait for a pass of their own.
LEAST_TASKS_A_PROCESS = 2
# Voxel bytes behind one receipt, and receipts that even a small job has.
MESSAGE_BYTES = 512 << 20
ENOUGH_MESSAGES = 16


@dataclass(frozen=True)
class Crew:
    """The workers that a job is cut for: how many processes, and for each the bytes that it may need
    and the threads in each of its pools."""

    processes: int
    memory: int
    threads: int


def cut(job: Job, crew: Crew) -> PlanSpec:
    """The passes and task shapes of a job.

    A pass makes as many levels as fit into the memory and keep all processes busy. Raises
    :class:`MemoryBudgetError` that names the least that would do.
    """
    passes: list[PassSpec] = []
    region, first = job.region, 0
    while first < len(job.levels):
        spec = _next_pass(job, region, first, crew)
        made = make_pass(job, len(passes), spec, region)
        region = made.level_box(made.levels[-1], region)
        passes.append(spec)
        first = spec.stop
    return PlanSpec(tuple(passes), _tasks_per_message(job, passes[0]), crew.memory, crew.threads)


def _next_pass(job: Job, region: Bbox, first: int, crew: Crew) -> PassSpec:
    least_tasks = LEAST_TASKS_A_PROCESS * crew.processes
    for stop in range(len(job.levels), first, -1):
        levels = pass_levels(job, first, stop)
        unit = write_unit(levels)
        fits = _projected(job, levels, unit, region, crew, tasks_at_once=1) <= crew.memory
        possible = len(ChunkGrid(region, write_unit(levels[:1])))
        if fits and len(ChunkGrid(region, unit)) >= min(least_tasks, possible):
            return PassSpec(first, stop, _task_shape(job, levels, region, crew))
    raise MemoryBudgetError(
        f"workers.memory is {crew.memory:,} bytes; the largest of the smallest tasks possible needs "
        f"{least_memory(job, crew):,}. Give at least that, fewer workers.threads than {crew.threads}, or smaller chunks"
    )


def least_memory(job: Job, crew: Crew) -> int:
    """The least budget with which the job can be cut: one level a pass, one write unit a task."""
    region, least = job.region, 0
    for number in range(len(job.levels)):
        levels = pass_levels(job, number, number + 1)
        least = max(least, _projected(job, levels, write_unit(levels), region, crew, tasks_at_once=1))
        region = make_pass(job, number, PassSpec(number, number + 1, Vec.ones()), region).level_box(levels[0], region)
    return least


def _projected(
    job: Job, levels: tuple[PassLevel, ...], shape: Vec, region: Bbox, crew: Crew, *, tasks_at_once: int
) -> int:
    return projected_bytes(job, levels, shape.minimum(region.size()), crew.threads, tasks_at_once)


def _task_shape(job: Job, levels: tuple[PassLevel, ...], region: Bbox, crew: Crew) -> Vec:
    """The write unit, grown along its shortest side while that is worth it and fits."""
    enough_tasks = ENOUGH_TASKS_A_PROCESS * crew.processes

    def worthwhile(shape: Vec) -> bool:
        return (
            slab_bytes(job, levels, shape.minimum(region.size())) <= ENOUGH_BYTES
            and _projected(job, levels, shape, region, crew, tasks_at_once=2) <= crew.memory
        )

    shape = step = _whole_source_chunks(job, levels, region, worthwhile)
    while True:
        grown = [shape + step * axis for axis in (Vec(1, 0, 0), Vec(0, 1, 0), Vec(0, 0, 1))]
        useful = [s for s, n, most in zip(grown, shape, region.size(), strict=True) if n < most]
        useful = [s for s in useful if worthwhile(s) and len(ChunkGrid(region, s)) >= enough_tasks]
        if not useful:
            return shape
        shape = min(useful, key=max)


def _whole_source_chunks(
    job: Job, levels: tuple[PassLevel, ...], region: Bbox, worthwhile: Callable[[Vec], bool]
) -> Vec:
    """The write unit, or the multiple of it that no chunk of the source straddles, if that is worthwhile."""
    unit = write_unit(levels)
    scale = base_scale(job, levels[0].number)
    begins = scale.voxel_offset + (job.translate if levels[0].number == 0 else 0)
    whole = unit.lcm(scale.chunk_size)
    fits = (region.minpt - begins) % scale.chunk_size == Vec.zeros()
    return whole if fits and worthwhile(whole) else unit


def _tasks_per_message(job: Job, spec: PassSpec) -> int:
    levels = pass_levels(job, spec.first, spec.stop)
    task_bytes = slab_bytes(job, levels, spec.task_shape.minimum(job.region.size()))
    tasks = len(ChunkGrid(job.region, spec.task_shape))
    return max(1, min(MESSAGE_BYTES // task_bytes, tasks // ENOUGH_MESSAGES))
