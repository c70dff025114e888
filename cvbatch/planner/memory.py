"""What a worker will need."""

from __future__ import annotations

from cvbatch.geometry import Vec
from cvbatch.metadata import Job
from cvbatch.planner.plan import Pass, PassLevel, Plan, base_scale

# An interpreter with numpy, the codecs and a thread or two, measured.
PROCESS_BYTES = 48 << 20


def slab_bytes(job: Job, levels: tuple[PassLevel, ...], task_shape: Vec) -> int:
    """The voxels of one task: the base level, and each coarser level that is made from it."""
    coarser = [level.factor for level in levels if level.factor != Vec.ones()]
    cells = [task_shape.product()] + [slab_shape(task_shape, factor).product() for factor in coarser]
    return sum(cells) * job.voxel.nbytes


def slab_shape(task_shape: Vec, factor: Vec) -> Vec:
    """A task's voxels at a level, at the most."""
    return (task_shape + (factor - 1)) // factor


def scratch_bytes(job: Job, levels: tuple[PassLevel, ...]) -> int:
    """What one thread holds besides: a chunk decoded, encoded, and what its codec needs."""
    read = base_scale(job, levels[0].number).chunk_size.product()
    written = max(level.level.scale.chunk_size.product() for level in levels)
    return 2 * max(read, written) * job.voxel.nbytes


def projected_bytes(job: Job, levels: tuple[PassLevel, ...], task_shape: Vec, threads: int, tasks_at_once: int) -> int:
    """Resident bytes of a worker that has ``tasks_at_once`` tasks in its memory."""
    slabs = tasks_at_once * slab_bytes(job, levels, task_shape)
    return PROCESS_BYTES + slabs + threads * scratch_bytes(job, levels)


def task_shape(each: Pass) -> Vec:
    """The largest task of a pass, in voxels of the level that it reads."""
    return each.grid.cell.minimum(each.grid.bounds.size())


def tasks_at_once(plan: Plan, each: Pass) -> int:
    """How many tasks a worker has in its memory: the next is fetched while one is computed, if both fit."""
    spec = plan.spec
    if spec.threads == 1:
        return 1
    return 2 if projected_bytes(plan.job, each.levels, task_shape(each), spec.threads, 2) <= spec.memory else 1


def worker_bytes(plan: Plan, each: Pass) -> int:
    """Resident bytes that a worker is expected to need in a pass."""
    at_once = tasks_at_once(plan, each)
    return projected_bytes(plan.job, each.levels, task_shape(each), plan.spec.threads, at_once)
