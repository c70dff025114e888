"""What a worker will need."""

from __future__ import annotations

from dataclasses import dataclass

from cvbatch.geometry import Vec
from cvbatch.metadata import Job
from cvbatch.planner.plan import Pass, PassLevel, Plan, base_scale

# An interpreter with numpy, the codecs and a thread or two, measured.
PROCESS_BYTES = 48 << 20
# Tasks in a worker's memory.
MOST_AT_ONCE = 3
# Bytes of an encoded chunk for a byte of its voxels.
ENCODED_SHARE = {"image": 0.95, "segmentation": 0.15}


@dataclass(frozen=True)
class Extents:
    """A task, and the blocks in which it is worked through, in voxels of the level that is read."""

    task: Vec
    block: Vec


def slab_bytes(job: Job, levels: tuple[PassLevel, ...], block: Vec) -> int:
    """The voxels of one block: the base level, and each coarser level that is made from it."""
    coarser = [level.factor for level in levels if level.factor != Vec.ones()]
    cells = [block.product()] + [slab_shape(block, factor).product() for factor in coarser]
    return sum(cells) * job.voxel.nbytes


def slabs_bytes(job: Job, levels: tuple[PassLevel, ...], extents: Extents, threads: int) -> int:
    """The shared memory of one task."""
    blocks = 1 if extents.block == extents.task else blocks_at_once(threads)
    return blocks * slab_bytes(job, levels, extents.block)


def slab_shape(block: Vec, factor: Vec) -> Vec:
    """A block's voxels at a level, at the most."""
    return (block + (factor - 1)) // factor


def shard_bytes(job: Job, levels: tuple[PassLevel, ...], task: Vec) -> int:
    """The encoded chunks that wait for their shard to be whole, and the shard's file that is put together from them.

    How well they compress is not known before; this is what images and labels usually come to.
    """
    if job.kind == "delete":
        return 0
    share = ENCODED_SHARE[job.voxel.layer_type]
    sharded = [level for level in levels if level.level.scale.sharding is not None]
    voxels = sum(slab_shape(task, level.factor).product() for level in sharded)
    largest = max((level.write_cell.minimum(slab_shape(task, level.factor)).product() for level in sharded), default=0)
    return int((voxels + largest) * job.voxel.nbytes * share)


def scratch_bytes(job: Job, levels: tuple[PassLevel, ...]) -> int:
    """What one thread holds besides: a chunk decoded, encoded, and what its codec needs."""
    read = base_scale(job, levels[0].number).chunk_size.product()
    written = max(level.level.scale.chunk_size.product() for level in levels)
    return 2 * max(read, written) * job.voxel.nbytes


def projected_bytes(job: Job, levels: tuple[PassLevel, ...], extents: Extents, threads: int, tasks_at_once: int) -> int:
    """Resident bytes of a worker that has ``tasks_at_once`` tasks in its memory."""
    of_a_task = slabs_bytes(job, levels, extents, threads) + shard_bytes(job, levels, extents.task)
    return PROCESS_BYTES + tasks_at_once * of_a_task + threads * scratch_bytes(job, levels)


def blocks_at_once(threads: int) -> int:
    """How many blocks of a task are in memory: with threads the next is fetched while one is computed."""
    return 1 if threads == 1 else 2


def extents_of(each: Pass) -> Extents:
    """The largest task of a pass and its largest block."""
    task = each.grid.cell.minimum(each.grid.bounds.size())
    return Extents(task, each.block.minimum(task))


def tasks_at_once(plan: Plan, each: Pass) -> int:
    """How many tasks a worker has in its memory: one is fetched, one is computed, one is stored, if they fit."""
    spec, extents = plan.spec, extents_of(each)
    most = 1 if spec.threads == 1 else MOST_AT_ONCE
    fitting = (n for n in range(most, 1, -1) if _needs(plan, each, extents, n) <= spec.memory)
    return next(fitting, 1)


def _needs(plan: Plan, each: Pass, extents: Extents, at_once: int) -> int:
    return projected_bytes(plan.job, each.levels, extents, plan.spec.threads, at_once)


def worker_bytes(plan: Plan, each: Pass) -> int:
    """Resident bytes that a worker is expected to need in a pass."""
    return _needs(plan, each, extents_of(each), tasks_at_once(plan, each))
