"""Cutting a job into passes and tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cvbatch.errors import MemoryBudgetError
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata import Job, PassSpec, PlanSpec
from cvbatch.planner.align import chunk_unit, write_unit
from cvbatch.planner.memory import MOST_AT_ONCE, Extents, projected_bytes, slab_bytes
from cvbatch.planner.plan import PassLevel, base_scale, make_pass, pass_levels

# Growing a task beyond this gains nothing, and costs balance between workers and work lost at a kill.
ENOUGH_BYTES = 32 << 20
# Nor is a pass cut into fewer tasks a process than this for the sake of larger ones.
ENOUGH_TASKS_A_PROCESS = 16
# Fewer than this leave processes idle: then the coarser levels wait for a pass of their own.
LEAST_TASKS_A_PROCESS = 2
# Chunks that a task deletes, if it may have so many.
CHUNKS_DELETED_TOGETHER = 8000
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
    next_pass = _next_deletion if job.kind == "delete" else _next_pass
    while first < len(job.levels):
        spec = next_pass(job, region, first, crew)
        made = make_pass(job, len(passes), spec, region)
        region = made.level_box(made.levels[-1], region)
        passes.append(spec)
        first = spec.stop
    return PlanSpec(tuple(passes), _tasks_per_message(job, passes[0], crew.processes), crew.memory, crew.threads)


def _next_pass(job: Job, region: Bbox, first: int, crew: Crew) -> PassSpec:
    least_tasks = LEAST_TASKS_A_PROCESS * crew.processes
    for stop in range(len(job.levels), first, -1):
        levels = pass_levels(job, first, stop)
        least = _least(levels)
        fits = _projected(job, levels, least, region, crew, tasks_at_once=1) <= crew.memory
        possible = len(ChunkGrid(region, write_unit(levels[:1])))
        if fits and len(ChunkGrid(region, least.task)) >= min(least_tasks, possible):
            extents = _extents(job, levels, region, crew)
            return PassSpec(first, stop, extents.task, extents.block)
    threads = f", fewer workers.threads than {crew.threads}" if crew.threads > 1 else ""
    raise MemoryBudgetError(
        f"workers.memory is {crew.memory:,} bytes; the largest of the smallest tasks possible needs "
        f"{least_memory(job, crew):,}. Give at least that{threads}, or smaller chunks"
    )


def _next_deletion(job: Job, region: Bbox, first: int, crew: Crew) -> PassSpec:
    """One level a pass, in tasks of many chunks: nothing of them is in memory."""
    levels = pass_levels(job, first, first + 1)
    chunk = chunk_unit(levels)

    def worthwhile(task: Vec) -> bool:
        enough = len(ChunkGrid(region, task)) >= ENOUGH_TASKS_A_PROCESS * crew.processes
        return enough and (task // chunk).product() <= CHUNKS_DELETED_TOGETHER

    return PassSpec(first, first + 1, _grown(write_unit(levels), region.size(), worthwhile), chunk)


def least_memory(job: Job, crew: Crew) -> int:
    """The least budget with which the job can be cut: one level a pass, one write unit a task."""
    region, least = job.region, 0
    for number in range(len(job.levels)):
        levels = pass_levels(job, number, number + 1)
        least = max(least, _projected(job, levels, _least(levels), region, crew, tasks_at_once=1))
        spec = PassSpec(number, number + 1, Vec.ones(), Vec.ones())
        region = make_pass(job, number, spec, region).level_box(levels[0], region)
    return least


def _least(levels: tuple[PassLevel, ...]) -> Extents:
    """The smallest task, and its smallest block."""
    return Extents(write_unit(levels), chunk_unit(levels))


def _projected(
    job: Job, levels: tuple[PassLevel, ...], extents: Extents, region: Bbox, crew: Crew, *, tasks_at_once: int
) -> int:
    task = extents.task.minimum(region.size())
    return projected_bytes(job, levels, Extents(task, extents.block.minimum(task)), crew.threads, tasks_at_once)


def _extents(job: Job, levels: tuple[PassLevel, ...], region: Bbox, crew: Crew) -> Extents:
    """The block is the chunk unit, grown while that is worth it and fits; the task is as large, or one write unit.

    Where chunks are written on their own, both are the same. Shards are larger than what should be in memory.
    """
    least = _least(levels)
    alone = least.task == least.block
    at_once = MOST_AT_ONCE if alone and crew.threads > 1 else 1
    most = region.size() if alone else least.task.minimum(region.size())

    def worthwhile(block: Vec) -> bool:
        extents = Extents(block if alone else least.task, block)
        return (
            slab_bytes(job, levels, block.minimum(most)) <= ENOUGH_BYTES
            and _projected(job, levels, extents, region, crew, tasks_at_once=at_once) <= crew.memory
        )

    def leaves_enough_tasks(block: Vec) -> bool:
        return not alone or len(ChunkGrid(region, block)) >= ENOUGH_TASKS_A_PROCESS * crew.processes

    block = _whole_source_chunks(job, levels, region, worthwhile)
    block = _grown(block, most, lambda block: worthwhile(block) and leaves_enough_tasks(block))
    return Extents(block if alone else least.task, block)


def _grown(step: Vec, most: Vec, worthwhile: Callable[[Vec], bool]) -> Vec:
    """The largest worthwhile multiple of ``step`` that is met by growing the shortest side."""
    shape = step
    while True:
        grown = [shape + step * axis for axis in (Vec(1, 0, 0), Vec(0, 1, 0), Vec(0, 0, 1))]
        useful = [s for s, n, limit in zip(grown, shape, most, strict=True) if n < limit and worthwhile(s)]
        if not useful:
            return shape
        shape = min(useful, key=max)


def _whole_source_chunks(
    job: Job, levels: tuple[PassLevel, ...], region: Bbox, worthwhile: Callable[[Vec], bool]
) -> Vec:
    """The chunk unit, or the multiple of it that no chunk of the source straddles, if that is worthwhile."""
    unit = chunk_unit(levels)
    scale = base_scale(job, levels[0].number)
    begins = scale.voxel_offset + (job.translate if levels[0].number == 0 else 0)
    whole = unit.lcm(scale.chunk_size)
    fits = (region.minpt - begins) % scale.chunk_size == Vec.zeros()
    return whole if fits and worthwhile(whole) else unit


def _tasks_per_message(job: Job, spec: PassSpec, processes: int) -> int:
    levels = pass_levels(job, spec.first, spec.stop)
    task_bytes = slab_bytes(job, levels, spec.task_shape.minimum(job.region.size()))
    tasks = len(ChunkGrid(job.region, spec.task_shape))
    return max(1, min(MESSAGE_BYTES // task_bytes, tasks // max(ENOUGH_MESSAGES, processes)))
