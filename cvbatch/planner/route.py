"""How voxels get from the source's chunks into the destination's."""

from __future__ import annotations

from enum import Enum

from cvbatch.codecs import parameters_of
from cvbatch.geometry import ChunkGrid, Vec
from cvbatch.metadata import Job, ScaleInfo
from cvbatch.planner.plan import Pass, PassLevel, base_scale


class Route(Enum):
    """What happens to a chunk of the first level of a pass.

    BUILD: chunks are decoded into one array and cut anew. RECODE: the grids agree, each chunk is decoded
    and encoded for itself. COPY: nothing changes, and the bytes go through. DELETE: it is removed.
    """

    BUILD = "build"
    RECODE = "recode"
    COPY = "copy"
    DELETE = "delete"


def same_array_encoding(a: ScaleInfo, b: ScaleInfo) -> bool:
    """Whether a chunk's bytes mean the same voxels under both scales."""
    return a.encoding == b.encoding and parameters_of(a.encoding, a.other) == parameters_of(b.encoding, b.other)


def same_grid(job: Job, first: Pass) -> bool:
    """Whether each chunk of the region has the same voxels in the source and in the first level."""
    source, level = job.source.scale, first.levels[0].level
    if level.factor != Vec.ones() or source.chunk_size != level.scale.chunk_size:
        return False
    shifted = ChunkGrid(source.bounds + job.translate, source.chunk_size)
    chunks = ChunkGrid(level.scale.bounds, level.scale.chunk_size)
    phase = (shifted.bounds.minpt - chunks.bounds.minpt) % source.chunk_size
    region = first.grid.bounds
    return phase == Vec.zeros() and shifted.is_aligned(region) and chunks.is_aligned(region)


def route(job: Job, each: Pass) -> Route:
    """The cheapest way that gives the right bytes."""
    if job.kind == "delete":
        return Route.DELETE
    if each.number > 0 or not same_grid(job, each):
        return Route.BUILD
    source, target = base_scale(job, 0), each.levels[0].level.scale
    # Whether a chunk is all background, or what it should be, is known only when it is decoded.
    if same_array_encoding(source, target) and not job.delete_background and job.check is None:
        return Route.COPY
    return Route.RECODE if len(each.levels) == 1 else Route.BUILD


def downsamples_chunks(job: Job, levels: tuple[PassLevel, ...]) -> bool:
    """Whether the first level of a pass is made of each chunk that is read by itself.

    That can be where it is coarser than what is read and no cell is of two chunks; both are counted from where that
    level begins. Then its voxels are never put together: a chunk is downsampled while it is in the processor's cache.
    """
    factor = levels[0].factor
    return factor != Vec.ones() and base_scale(job, levels[0].number).chunk_size % factor == Vec.zeros()


def keeps_voxels(way: Route, each: Pass) -> bool:
    """Whether the voxels of a task are put together in memory, or each chunk goes its own way."""
    return way is Route.BUILD or (way is not Route.DELETE and len(each.levels) > 1)
