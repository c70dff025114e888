"""The most frequent value of cells; ties go to the value that comes first in Fortran order."""

from __future__ import annotations

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.geometry import Vec
from cvbatch.ops.cells import cell_views


def mode(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    """A most frequent value of each cell (a downsampling kernel).

    Where the first half of a cell is all one value no other can be more frequent: most cells of a
    segmentation need no counting.
    """
    views = cell_views(voxels, factor)
    first = views[0]
    out[...] = first
    unsure = np.zeros(out.shape, bool)
    for view in views[1 : (len(views) + 1) // 2]:
        unsure |= view != out
    if len(views) == 4:
        _compare_where(unsure, views, out)
    else:
        _count_where(unsure, views, out, None)


def sparse_mode(voxels: Voxels, factor: Vec, background: int, out: Voxels) -> None:
    """As :func:`mode`, but background is taken only where a cell holds nothing else."""
    views = cell_views(voxels, factor)
    out[...] = views[0]
    unsure = np.zeros(out.shape, bool)
    for view in views[1:]:
        unsure |= view != out
    _count_where(unsure, views, out, background)


def _compare_where(unsure: Voxels, views: list[Voxels], out: Voxels) -> None:
    """As :func:`_count_where` for cells of four voxels of which the first two differ: three times as fast.

    Then the last two win if they are equal. If not, nobody has three: the second wins if it has one more and the first,
    which would win the tie, has not.
    """
    if not unsure.any():
        return
    a, b, c, d = (view[unsure] for view in views)
    best = np.where((a != c) & (a != d) & ((b == c) | (b == d)), b, a)
    out[unsure] = np.where(c == d, c, best)


def _count_where(unsure: Voxels, views: list[Voxels], out: Voxels, ignored: int | None) -> None:
    """Count the values of the cells that are ``unsure``, and put the winners into ``out``."""
    if not unsure.any():
        return
    columns = np.stack([view[unsure] for view in views])
    best = columns[0].copy()
    most = np.zeros(best.shape, np.uint8)
    for i, candidate in enumerate(columns):
        # Only what comes later is counted: the first of equal values has the full count.
        votes = (columns[i:] == candidate).sum(axis=0, dtype=np.uint8)
        if ignored is not None:
            votes[candidate == candidate.dtype.type(ignored)] = 0
        wins = votes > most
        best[wins] = candidate[wins]
        most[wins] = votes[wins]
    out[unsure] = best
