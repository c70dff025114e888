"""Arithmetic between the mip levels of a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from cvbatch.geometry.bbox import Bbox
from cvbatch.geometry.vec import Vec, ceil_div

Resolution = tuple[float, ...]


def coarser_bounds(bounds: Bbox, factor: Vec) -> Bbox:
    """The bounds of the scale ``factor`` times coarser: ``offset // factor``, ``ceil(size / factor)``.

    The convention of CloudVolume and Igneous. Cell i of the coarse scale, counted from its offset,
    stands for voxels ``factor * i`` to ``factor * (i + 1)`` of the fine scale, counted from its offset.

    >>> coarser_bounds(Bbox((10, 0, 0), (1010, 1001, 100)), Vec(2, 2, 1))
    Bbox((5, 0, 0), (505, 501, 100))
    """
    return Bbox.from_delta(bounds.minpt // factor, ceil_div(bounds.size(), factor))


def coarser_resolution(resolution: Resolution, factor: Vec) -> Resolution:
    """Nanometres a voxel of the scale ``factor`` times coarser."""
    return tuple(r * f for r, f in zip(resolution, factor, strict=True))


def box_between_resolutions(box: Bbox, given: Sequence[float], wanted: Sequence[float]) -> Bbox:
    """``box`` in voxels of resolution ``given`` as the smallest box of voxels of resolution ``wanted``.

    >>> box_between_resolutions(Bbox((1, 0, 0), (3, 4, 5)), (8, 8, 40), (4, 4, 40))
    Bbox((2, 0, 0), (6, 8, 5))
    """
    ratios = [Fraction(a) / Fraction(b) for a, b in zip(given, wanted, strict=True)]
    low = [math.floor(p * r) for p, r in zip(box.minpt, ratios, strict=True)]
    high = [math.ceil(p * r) for p, r in zip(box.maxpt, ratios, strict=True)]
    return Bbox(low, high)
