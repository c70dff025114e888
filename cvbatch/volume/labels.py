"""Labels of a cutout: some of them, one of them, or with smaller numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fastremap
import numpy as np

from cvbatch.volume.cutout import VolumeCutout


def mask_of(cutout: VolumeCutout, label: int) -> VolumeCutout:
    """Where a label is, as a boolean array."""
    mask: VolumeCutout = cutout == label
    return mask


def only(cutout: VolumeCutout, segids: Iterable[int], preserve_zeros: bool) -> VolumeCutout:
    """The array with all other labels 0, or with ``preserve_zeros`` the largest value of its type; in place."""
    kept = [segids] if np.ndim(segids) == 0 else list(segids)  # type: ignore[arg-type]
    other = np.iinfo(cutout.dtype).max if preserve_zeros else 0
    wanted = [int(label) for label in [*kept, *([0] if preserve_zeros else [])]]
    voxels = np.asarray(cutout)
    voxels[~np.isin(voxels, wanted)] = other
    return cutout


def renumbered(cutout: VolumeCutout) -> tuple[VolumeCutout, dict[Any, Any]]:
    """The labels as 1, 2, 3, … in the smallest type that holds them, and ``{new: old}``; 0 stays 0."""
    voxels, new = fastremap.renumber(np.asarray(cutout), in_place=True)
    smaller = np.asfortranarray(voxels).view(VolumeCutout)
    smaller.__array_finalize__(cutout)
    return smaller, {int(number): int(label) for label, number in new.items()}
