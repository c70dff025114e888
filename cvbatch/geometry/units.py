"""Voxels and metres: how coordinates change from one unit to another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from cvbatch.geometry.vec import Operand, Vec

VOXELS = "vx"
METRES = {
    "pm": Fraction(1, 10**12),
    "nm": Fraction(1, 10**9),
    "um": Fraction(1, 10**6),
    "mm": Fraction(1, 10**3),
    "m": Fraction(1),
    "km": Fraction(10**3),
    "Mm": Fraction(10**6),
    "Gm": Fraction(10**9),
    "Tm": Fraction(10**12),
}


def check_unit(unit: str) -> None:
    """Raise a ValueError for what is neither voxels nor a length."""
    if unit != VOXELS and unit not in METRES:
        raise ValueError(f"{unit!r} is not a unit; these are: {VOXELS}, {', '.join(METRES)}")


def unit_factors(before: str, after: str, resolution: Operand, resolution_unit: str, dimensions: int) -> list[Fraction]:
    """What coordinates in ``before`` are multiplied with to be in ``after``, for each axis.

    ``resolution`` is the size of a voxel in ``resolution_unit``; it matters only if one unit is voxels.

    >>> unit_factors("vx", "um", (4, 4, 40), "nm", 3)
    [Fraction(1, 250), Fraction(1, 250), Fraction(1, 25)]
    """
    check_unit(before)
    check_unit(after)
    if (before == VOXELS) == (after == VOXELS):
        return [METRES[before] / METRES[after] if before != VOXELS else Fraction(1)] * dimensions
    if resolution_unit not in METRES:
        raise ValueError(f"a resolution is a length, and {resolution_unit!r} is none of {', '.join(METRES)}")
    sizes = Vec.of(resolution, dimensions)
    if len(sizes) != dimensions or not all(size > 0 for size in sizes):
        raise ValueError(f"not the resolution of a volume with {dimensions} axes: {sizes}")
    metres = [_exact(size) * METRES[resolution_unit] for size in sizes]
    return [size / METRES[after] for size in metres] if before == VOXELS else [METRES[before] / size for size in metres]


def scaled(point: Sequence[float], factors: Sequence[Fraction], whole: bool) -> Vec:
    """``point`` times ``factors``: rounded down if ``whole``, else integers as long as nothing is lost by it.

    >>> scaled((10, 20, 30), [Fraction(1, 4)] * 3, whole=True)
    Vec(2, 5, 7)
    """
    products = [_exact(a) * factor for a, factor in zip(point, factors, strict=True)]
    if whole:
        return Vec(*map(math.floor, products))
    integers = all(type(a) is int for a in point) and all(factor.denominator == 1 for factor in factors)
    return Vec(*map(int if integers else float, products))


def _exact(number: Any) -> Fraction:
    """The decimal number that is meant: 0.004 is 4/1000, although the float is a little more."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
