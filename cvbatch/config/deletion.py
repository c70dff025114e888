"""Jobs that delete mip levels, or a box of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cvbatch.errors import InputError
from cvbatch.geometry import Vec, coarser_bounds
from cvbatch.metadata import Level, ScaleInfo, VolumeInfo


def deleted_levels(info: VolumeInfo, mips: Sequence[int]) -> tuple[Level, ...]:
    """The levels of some mips, finest first, each with how much coarser it is than the one before.

    Raises :class:`InputError` for mips that are not made of each other by whole numbers from one corner: where a box of
    the one lies in the other isn't sure then.
    """
    scales = [info.scale(mip) for mip in sorted(set(mips))]
    levels = [Level(scales[0], Vec.ones())]
    for fine, coarse in pairwise(scales):
        levels.append(Level(coarse, _factor(fine, coarse)))
    return tuple(levels)


def _factor(fine: ScaleInfo, coarse: ScaleInfo) -> Vec:
    ratios = [b / a for a, b in zip(fine.resolution, coarse.resolution, strict=True)]
    factor = Vec(*(max(1, round(ratio)) for ratio in ratios))
    exact = all(abs(ratio - n) < 1e-6 for ratio, n in zip(ratios, factor, strict=True))
    if not exact or coarser_bounds(fine.bounds, factor) != coarse.bounds:
        raise InputError(
            f"scale {coarse.key} is {coarse.bounds}, which is not {fine.key} downsampled by whole numbers from the "
            "same corner; delete them in a job each"
        )
    return factor
