"""What a worker will need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from cvbatch.geometry import Vec
from cvbatch.metadata import Job
from cvbatch.planner.plan import Pass, PassLevel, Plan, base_scale
from cvbatch.planner.route import downsamples_chunks, keeps_voxels, route

# An interpreter with numpy, the codecs and a thread or two, and the client of a bucket with its connections; measured.
PROCESS_BYTES, CLIENT_BYTES = 38 << 20, 16 << 20
# Tasks in a worker's memory.
MOST_AT_ONCE = 3
# Bytes of an encoded chunk for a byte of its voxels, as long as nobody has tried.
ENCODED_SHARE: Mapping[str, float] = {"image": 0.95, "segmentation": 0.15}
UNTRIED: Mapping[str, float] = {}


@dataclass(frozen=True)
class Extents:
    """A task, and the blocks in which it is worked through, in voxels of the level that is read."""

    task: Vec
    block: Vec


def slab_bytes(job: Job, levels: tuple[PassLevel, ...], block: Vec) -> int:
    """The voxels of one block: the base level, unless its chunks are downsampled one by one, and each coarser level."""
    coarser = [level.factor for level in levels if level.factor != Vec.ones()]
    kept = coarser if downsamples_chunks(job, levels) else [Vec.ones(), *coarser]
    return sum(slab_shape(block, factor).product() for factor in kept) * job.voxel.nbytes


def slabs_bytes(job: Job, levels: tuple[PassLevel, ...], extents: Extents, threads: int) -> int:
    """The shared memory of one task."""
    blocks = 1 if extents.block == extents.task else blocks_at_once(threads)
    return blocks * slab_bytes(job, levels, extents.block)


def slab_shape(block: Vec, factor: Vec) -> Vec:
    """A block's voxels at a level, at the most."""
    return (block + (factor - 1)) // factor


def shard_bytes(job: Job, levels: tuple[PassLevel, ...], task: Vec, shares: Mapping[str, float] = UNTRIED) -> int:
    """The encoded chunks that wait for their shard to be whole, and the shard's file that is put together from them.

    ``shares`` has the bytes of an encoded chunk for a byte of its voxels, by the key of a level; of others it is what
    images and labels usually come to.
    """
    if job.kind == "delete":
        return 0
    usual = ENCODED_SHARE[job.voxel.layer_type]
    waiting, largest = 0.0, 0.0
    for level in levels:
        scale = level.level.scale
        if scale.sharding is not None:
            share, made = shares.get(scale.key, usual), slab_shape(task, level.factor)
            waiting += made.product() * share
            largest = max(largest, level.write_cell.minimum(made).product() * share)
    return int((waiting + largest) * job.voxel.nbytes)


def scratch_bytes(job: Job, levels: tuple[PassLevel, ...]) -> int:
    """What one thread holds besides: a chunk, as it was decoded or is about to be encoded, and its encoded bytes."""
    read = base_scale(job, levels[0].number).chunk_size.product()
    written = max(level.level.scale.chunk_size.product() for level in levels)
    return int(max(read, written) * job.voxel.nbytes * (1 + ENCODED_SHARE[job.voxel.layer_type]))


def process_bytes(job: Job) -> int:
    """What a worker has before its first task."""
    remote = job.source.location.is_remote or job.destination.is_remote
    return PROCESS_BYTES + (CLIENT_BYTES if remote else 0)


def projected_bytes(job: Job, levels: tuple[PassLevel, ...], extents: Extents, threads: int, tasks_at_once: int) -> int:
    """Resident bytes of a worker that has ``tasks_at_once`` tasks in its memory."""
    of_a_task = slabs_bytes(job, levels, extents, threads) + shard_bytes(job, levels, extents.task)
    return process_bytes(job) + tasks_at_once * of_a_task + threads * scratch_bytes(job, levels)


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
    needs = partial(projected_bytes, plan.job, each.levels, extents, spec.threads)
    return next((n for n in range(most, 1, -1) if needs(n) <= spec.memory), 1)


def worker_bytes(plan: Plan, each: Pass, processes: int = 1, shares: Mapping[str, float] = UNTRIED) -> int:
    """Resident bytes that one of so many workers is expected to need; ``shares`` are as in :func:`shard_bytes`."""
    extents, threads = extents_of(each), plan.spec.threads
    kept = slabs_bytes(plan.job, each.levels, extents, threads) if keeps_voxels(route(plan.job, each), each) else 0
    of_a_task = kept + shard_bytes(plan.job, each.levels, extents.task, shares)
    at_once = min(tasks_at_once(plan, each), -(-len(each) // processes))
    return process_bytes(plan.job) + at_once * of_a_task + threads * scratch_bytes(plan.job, each.levels)
