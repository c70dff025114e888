"""The cells of an array, seen place by place."""

from __future__ import annotations

import itertools
from typing import Protocol

from cvbatch.codecs.base import Voxels
from cvbatch.geometry import Vec


class Kernel(Protocol):
    """Fills ``out`` from cells that are all whole.

    ``voxels`` is (channel, z, y, x), each axis a multiple of ``factor`` (x, y, z), ``out`` is the
    quotient. x varies fastest in memory, as in Fortran-ordered (x, y, z, channel).
    """

    def __call__(self, voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None: ...


def cell_views(voxels: Voxels, factor: Vec) -> list[Voxels]:
    """For each place in a cell, in Fortran order, the voxels at that place in all cells."""
    places = itertools.product(*(range(f) for f in reversed(factor)))
    return [voxels[:, dz :: factor.z, dy :: factor.y, dx :: factor.x] for dz, dy, dx in places]
