"""Regions on the grid of what can be written."""

from __future__ import annotations

from functools import reduce

from cvbatch.errors import AlignmentError
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata import Job
from cvbatch.planner.plan import PassLevel, base_bounds, pass_levels


def write_unit(levels: tuple[PassLevel, ...]) -> Vec:
    """The smallest box of base voxels that is made of whole write cells at every level."""
    return reduce(Vec.lcm, [level.write_cell * level.factor for level in levels], Vec.ones())


def chunk_unit(levels: tuple[PassLevel, ...]) -> Vec:
    """The smallest box of base voxels that is made of whole chunks at every level: what can be encoded at a time."""
    return reduce(Vec.lcm, [level.level.scale.chunk_size * level.factor for level in levels], Vec.ones())


def region_grid(job: Job) -> ChunkGrid:
    """The level that is read first, cut into boxes that are whole write cells at every level of the job."""
    return ChunkGrid(base_bounds(job, 0), write_unit(pass_levels(job, 0, len(job.levels))))


def aligned_region(job: Job, align: str) -> Bbox:
    """The job's region, brought onto the write cells of all levels as ``align`` says.

    ``align`` is ``error``, ``expand`` or ``shrink``. A region may also end where its volume ends. Raises
    :class:`AlignmentError` that names the nearest aligned boxes.
    """
    grid = region_grid(job)
    if grid.is_aligned(job.region):
        return job.region
    smaller, larger = grid.shrink(job.region), grid.expand(job.region)
    # A source that is smaller than its destination can't fill the cells at its edge.
    limits = job.source.scale.bounds + job.translate
    possible = limits.contains_bbox(larger)
    if align == "expand" and possible:
        return larger
    if align == "shrink" and not smaller.empty():
        return smaller
    choices = [
        f"{name} {box - job.translate}"
        for name, box, fits in (("smaller", smaller, not smaller.empty()), ("larger", larger, possible))
        if fits
    ]
    remedy = (
        f"Aligned are: {', '.join(choices)}"
        + ("" if job.kind != "transfer" else "; or set destination.align to expand or shrink")
        if choices
        else "No aligned box is near: give the destination smaller chunks, or fewer mips"
    )
    raise AlignmentError(
        f"{job.region - job.translate} is not on the destination's grid: boxes of {grid.cell} voxels, counted from "
        f"{grid.bounds.minpt - job.translate}, are written as a whole. {remedy}"
    )
