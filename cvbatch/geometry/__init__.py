"""Voxel geometry: exact vectors, half-open boxes, grids of cells and mip arithmetic."""

from cvbatch.geometry.bbox import Bbox
from cvbatch.geometry.grid import ChunkGrid
from cvbatch.geometry.mips import box_between_resolutions, coarser_bounds, coarser_resolution
from cvbatch.geometry.vec import Vec, ceil_div

__all__ = [
    "Bbox",
    "ChunkGrid",
    "Vec",
    "box_between_resolutions",
    "ceil_div",
    "coarser_bounds",
    "coarser_resolution",
]
