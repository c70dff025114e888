"""Means of cells: exact sums, rounded once, half to even."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.geometry import Vec
from cvbatch.ops.cells import cell_views

# The next wider type holds the sum of a cell: 64 voxels at the most, and 8 bits more.
WIDER: Mapping[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.uint8): np.dtype(np.uint16),
    np.dtype(np.uint16): np.dtype(np.uint32),
    np.dtype(np.uint32): np.dtype(np.uint64),
    np.dtype(np.int8): np.dtype(np.int16),
    np.dtype(np.int16): np.dtype(np.int32),
    np.dtype(np.int32): np.dtype(np.int64),
    np.dtype(np.float32): np.dtype(np.float64),
}


def mean(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    """The mean of each cell (a downsampling kernel; float sums are float64 and NaN spreads)."""
    count = factor.product()
    if voxels.dtype.itemsize == 8:
        quotients = cell_sums(voxels // count, factor, voxels.dtype)
        remainders = cell_sums(voxels % count, factor, voxels.dtype)
        out[...] = _rounded_up(quotients, remainders, voxels.dtype.type(count))
        return
    # Infinities of both signs in one cell make a NaN, as they should, and no warning.
    with np.errstate(invalid="ignore"):
        sums = cell_sums(voxels, factor, WIDER[voxels.dtype])
        out[...] = sums / count if sums.dtype.kind == "f" else rounded(sums, count)


def rounded(sums: Voxels, count: int) -> Voxels:
    """``sums / count`` to the nearest integer, half to even.

    >>> rounded(np.array([1, 3, 5, -1, -3]), 2).tolist()
    [0, 2, 2, 0, -2]
    """
    one = sums.dtype.type(1)
    if count == 1:
        return sums
    if count & (count - 1) == 0:
        # Shifts are many times as fast as divisions.
        bits = sums.dtype.type(count.bit_length() - 1)
        odd: Voxels = (sums >> bits) & one
        odd += sums
        odd += sums.dtype.type(count // 2 - 1)
        odd >>= bits
        return odd
    whole = sums.dtype.type(count)
    means: Voxels = sums + sums.dtype.type((count - 1) // 2)
    if count % 2 == 0:  # An odd count has no halves to care about.
        means += (sums // whole) & one
    means //= whole
    return means


def cell_sums(voxels: Voxels, factor: Vec, dtype: np.dtype[Any]) -> Voxels:
    """The sum of each cell in ``dtype``: along x, then y, then z."""
    sums = _sums_along_x(voxels, factor.x, dtype)
    sums = _add_strided([sums[:, :, dy :: factor.y] for dy in range(factor.y)])
    return _add_strided([sums[:, dz :: factor.z] for dz in range(factor.z)])


def _add_strided(parts: list[Voxels]) -> Voxels:
    if len(parts) == 1:
        return parts[0]
    total: Voxels = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    return total


def _sums_along_x(voxels: Voxels, factor: int, dtype: np.dtype[Any]) -> Voxels:
    if factor == 2 and dtype.kind == "u" and dtype.itemsize == 2 * voxels.dtype.itemsize and _runs_along_x(voxels):
        # Two neighbours seen as one number of twice the width: its halves are added without strided access.
        pairs = voxels.view(dtype)
        bits = dtype.type(8 * voxels.dtype.itemsize)
        low: Voxels = pairs & dtype.type((1 << int(bits)) - 1)
        low += pairs >> bits
        return low
    return _add_strided([voxels[..., dx::factor].astype(dtype) for dx in range(factor)])


def _runs_along_x(voxels: Voxels) -> bool:
    return voxels.strides[-1] == voxels.itemsize


def sparse_mean(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    """The mean of the voxels of each cell that aren't background; background where all are."""
    there = voxels != voxels.dtype.type(background)
    counts = cell_sums(there, factor, np.dtype(np.uint8))
    divisors = np.maximum(counts, 1)
    if voxels.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            sums = cell_sums(np.where(there, voxels, voxels.dtype.type(0)), factor, WIDER[voxels.dtype])
        means = sums / divisors
    elif voxels.dtype.itemsize == 8:
        means = _sparse_mean_64(voxels, there, factor, divisors)
    else:
        sums = cell_sums(np.where(there, voxels, voxels.dtype.type(0)), factor, WIDER[voxels.dtype])
        means = _rounded_up(np.zeros_like(sums), sums, divisors.astype(sums.dtype))
    out[...] = np.where(counts > 0, means, voxels.dtype.type(background))


def _sparse_mean_64(voxels: Voxels, there: Voxels, factor: Vec, divisors: Voxels) -> Voxels:
    """Quotients and remainders by each cell's own count, so that no sum leaves 64 bits."""
    counts = divisors.astype(voxels.dtype)
    quotients, remainders = np.zeros_like(counts), np.zeros_like(counts)
    for view, is_there in zip(cell_views(voxels, factor), cell_views(there, factor), strict=True):
        values = np.where(is_there, view, voxels.dtype.type(0))
        quotients += values // counts
        remainders += values % counts
    return _rounded_up(quotients, remainders, counts)


def _rounded_up(quotients: Voxels, remainders: Voxels, counts: Any) -> Voxels:
    """``quotients + remainders / counts`` to the nearest integer, half to even.

    ``counts`` is a number or one for each cell. Where a half goes depends on the whole quotient, so the
    remainders can't be rounded by themselves.
    """
    whole: Voxels = quotients + remainders // counts
    twice = (remainders % counts) * 2
    whole += ((twice > counts) | ((twice == counts) & (whole % 2 == 1))).astype(whole.dtype)
    return whole
