"""How often a plan reads and writes objects: counted, without visiting the tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cvbatch.formats.precomputed import objects_in
from cvbatch.geometry import Bbox
from cvbatch.metadata import ScaleInfo
from cvbatch.planner.plan import Pass, PassLevel, Plan, base_scale
from cvbatch.planner.route import Route, keeps_voxels, route


@dataclass(frozen=True)
class Requests:
    """What a pass does with the objects that hold chunks.

    ``chunks_read`` are counted as often as they are read: a chunk that two tasks share is read by both. ``read`` counts
    objects that are fetched, ``written`` those that are stored and ``deleted`` those that may have to go. They are
    exact where ``exact`` says so; else shards are read, whose indices and neighbouring chunks make it more or less.
    """

    chunks_read: int
    read: int
    written: int
    deleted: int
    exact: bool


def requests_of(plan: Plan, each: Pass) -> Requests:
    """The requests of a pass for chunks. What a job asks for besides (its own state, ``info``) is not in it."""
    job = plan.job
    written = sum(objects_in(level.level.scale, made_of(each, level)) for level in each.levels)
    if route(job, each) is Route.DELETE:
        return Requests(0, 0, 0, written, exact=not job.delete_background)
    base = base_scale(job, each.levels[0].number)
    chunks = _chunks_read(plan, each, base)
    if base.sharding is None:
        read, exact = chunks, not job.delete_background
    else:
        # At least the index of each shard, that of a minishard, and what lies together in it.
        read, exact = 2 * objects_in(base, _read_box(plan, each)) + chunks, False
    return Requests(chunks, read, written, written if job.delete_background else 0, exact)


def made_of(each: Pass, level: PassLevel) -> Bbox:
    """What a pass makes of a level."""
    return each.level_box(level, each.grid.bounds)


def _read_box(plan: Plan, each: Pass) -> Bbox:
    """What a pass reads, in the coordinates of the level that is read."""
    return each.grid.bounds - plan.job.translate if each.number == 0 else each.grid.bounds


def _chunks_read(plan: Plan, each: Pass, base: ScaleInfo) -> int:
    """A block reads the chunks that it touches. Blocks are products of intervals, and so is their number of chunks."""
    whole = _read_box(plan, each)
    blocks = each.block if keeps_voxels(route(plan.job, each), each) else each.grid.cell
    count = 1
    for axis in range(3):
        intervals = _intervals(whole.minpt[axis], whole.maxpt[axis], each.grid.cell[axis], blocks[axis])
        begin, chunk = base.voxel_offset[axis], base.chunk_size[axis]
        count *= sum((stop - 1 - begin) // chunk - (start - begin) // chunk + 1 for start, stop in intervals)
    return count


def _intervals(start: int, stop: int, task: int, block: int) -> Iterator[tuple[int, int]]:
    """The blocks of all tasks along one axis."""
    for first in range(start, stop, task):
        last = min(first + task, stop)
        for low in range(first, last, block):
            yield low, min(low + block, last)
