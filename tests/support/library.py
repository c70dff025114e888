"""Volumes of the library for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbatch import CloudVolume

SIZE, OFFSET, CHUNK = (70, 50, 20), (10, -20, 5), (32, 16, 8)


def info_of(voxels: np.ndarray, **members: Any) -> dict[str, Any]:
    """An ``info`` for an array (x, y, z) or (x, y, z, channel)."""
    labels = voxels.dtype.kind == "u" and voxels.dtype.itemsize >= 4
    defaults = {
        "num_channels": voxels.shape[3] if voxels.ndim == 4 else 1,
        "layer_type": "segmentation" if labels else "image",
        "data_type": voxels.dtype.name,
        "encoding": "raw",
        "resolution": [4, 4, 40],
        "voxel_offset": OFFSET,
        "chunk_size": CHUNK,
        "volume_size": voxels.shape[:3],
    }
    return CloudVolume.create_new_info(**{**defaults, **members})


def made(url: str, voxels: np.ndarray, info: dict[str, Any] | None = None, **options: Any) -> CloudVolume:
    """A new volume that holds an array."""
    vol = CloudVolume(str(url), info=info or info_of(voxels), **options)
    vol.commit_info()
    vol[:] = voxels
    return vol
