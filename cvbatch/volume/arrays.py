"""A volume out of an array."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.errors import DimensionError, UnsupportedFormatError
from cvbatch.metadata.volume import DATA_TYPES
from cvbatch.volume.scales import default_layer_type


def volume_of_array(arr: Voxels, vol_path: str | None, layer_type: str | None) -> tuple[str, Voxels, dict[str, Any]]:
    """A path, the array (x, y, z, channel), and what ``info`` says of its voxels.

    Raises :class:`DimensionError` and :class:`UnsupportedFormatError` for an array that no volume holds.
    """
    if arr.ndim not in (3, 4):
        raise DimensionError(f"an array of shape {arr.shape}; a volume has x, y, z and perhaps channel")
    if arr.dtype.name not in DATA_TYPES:
        raise UnsupportedFormatError(f"the format has no {arr.dtype}, only {', '.join(DATA_TYPES)}; use .astype first")
    voxels = arr[..., np.newaxis] if arr.ndim == 3 else arr
    kind = layer_type or default_layer_type(arr.dtype)
    path = vol_path or f"file://{tempfile.mkdtemp(prefix='cvbatch-image-')}"
    return path, voxels, {"num_channels": voxels.shape[3], "layer_type": kind, "data_type": arr.dtype.name}
