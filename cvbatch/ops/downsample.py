"""Downsampling by whole factors: one output voxel from each cell of input voxels.

The meaning is exact and doesn't depend on how a volume was cut: cells are counted from the first voxel,
and a cell that the edge cuts short uses the voxels that are there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.geometry import Vec, ceil_div
from cvbatch.ops.cells import Kernel, cell_views
from cvbatch.ops.mean import mean, sparse_mean
from cvbatch.ops.mode import mode, sparse_mode

LARGEST_FACTOR = 4
# Input that is worked on at a time: small enough to stay in a core's cache.
SLAB_BYTES = 1 << 19


def _minimum(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    first, *others = cell_views(voxels, factor)
    out[...] = first
    for view in others:
        np.minimum(out, view, out=out)


def _maximum(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    first, *others = cell_views(voxels, factor)
    out[...] = first
    for view in others:
        np.maximum(out, view, out=out)


def _stride(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    out[...] = cell_views(voxels, factor)[0]


METHODS: Mapping[str, Kernel] = {
    "average": mean,
    "mode": mode,
    "min": _minimum,
    "max": _maximum,
    "stride": _stride,
}
SPARSE_METHODS: Mapping[str, Kernel] = {"average": sparse_mean, "mode": sparse_mode}


def kernel_for(method: str, sparse: bool) -> Kernel:
    """The kernel of a method. Only ``average`` and ``mode`` can be sparse (KeyError for the others)."""
    return SPARSE_METHODS[method] if sparse else METHODS[method]


def method_for(layer_type: str) -> str:
    """What ``method: auto`` means: grey values are averaged, of labels the most frequent one is taken."""
    return "average" if layer_type == "image" else "mode"


def downsample(voxels: Voxels, factor: Vec, kernel: Kernel, background: int = 0, out: Voxels | None = None) -> Voxels:
    """``voxels`` (x, y, z, channel) at ``ceil(size / factor)``, in Fortran order, in ``out`` if given.

    ``kernel`` comes from :func:`kernel_for`; ``factor`` is 1 to 4 along each axis.

    >>> row = np.array([1, 2, 4], np.uint8).reshape(3, 1, 1, 1)
    >>> downsample(row, Vec(2, 1, 1), kernel_for("average", sparse=False)).ravel().tolist()
    [2, 4]
    """
    size = Vec(*voxels.shape[:3])
    if out is None:
        out = np.empty((*ceil_div(size, factor), voxels.shape[3]), voxels.dtype, order="F")
    # x last: numpy's inner loops run along the last axis.
    source, target = voxels.T, out.T
    for zs, ys, xs in itertools.product(*(_spans(n, f) for n, f in zip(reversed(size), reversed(factor), strict=True))):
        part = source[:, zs.source, ys.source, xs.source]
        kernel_factor = Vec(xs.factor, ys.factor, zs.factor)
        _by_slabs(kernel, part, kernel_factor, background, target[:, zs.target, ys.target, xs.target])
    return out


class _Span:
    """A stretch of one axis whose cells all have ``factor`` voxels."""

    def __init__(self, start: int, stop: int, factor: int, first_cell: int) -> None:
        self.source = slice(start, stop)
        self.target = slice(first_cell, first_cell + (stop - start) // factor)
        self.factor = factor


def _spans(size: int, factor: int) -> list[_Span]:
    """The whole cells of an axis, and the one that its end cuts short."""
    whole = size // factor * factor
    spans = [_Span(0, whole, factor, 0)] if whole else []
    return [*spans, _Span(whole, size, size - whole, whole // factor)] if size > whole else spans


def _by_slabs(kernel: Kernel, voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    """Run the kernel on a few sections at a time, so that what it makes in between stays in the cache."""
    bytes_a_cell_layer = voxels[:, : factor.z].nbytes
    layers = max(1, SLAB_BYTES // max(1, bytes_a_cell_layer))
    for first in range(0, out.shape[1], layers):
        part = voxels[:, first * factor.z : (first + layers) * factor.z]
        kernel(part, factor, background, out[:, first : first + layers])
