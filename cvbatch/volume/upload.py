"""What is looked at before voxels are written."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.errors import AlignmentError
from cvbatch.geometry import Bbox
from cvbatch.metadata import VoxelType


def check_image(image: Any, box: Bbox, voxel: VoxelType, channels: slice) -> Voxels:
    """An array (x, y, z, channel) of the volume's type that fills a box; one number fills it without using memory.

    Raises ValueError for another data type and :class:`AlignmentError` for another shape.
    """
    if (channels.start, channels.stop) != (0, voxel.channels):
        raise AlignmentError(
            f"channels {channels.start} to {channels.stop} of {voxel.channels}: chunks hold all channels, and are "
            "written as a whole. Read the box, change the channels, and write all of them"
        )
    wanted = (*box.size(), voxel.channels)
    if np.ndim(image) == 0:
        return np.broadcast_to(_number(image[()] if isinstance(image, np.ndarray) else image, voxel.dtype), wanted)
    voxels = np.asarray(image)
    if voxels.dtype != voxel.dtype:
        raise ValueError(f"the array holds {voxels.dtype}, the volume {voxel.dtype}; convert it with .astype first")
    if voxels.ndim == 3:
        voxels = voxels[..., np.newaxis]
    if voxels.shape != wanted:
        proposal = _proposal(voxels.shape, wanted) if voxels.ndim == 4 else ""
        raise AlignmentError(f"an array of shape {np.shape(image)} for a box of {wanted} (x, y, z, channel){proposal}")
    return voxels


def _number(value: Any, dtype: np.dtype[Any]) -> Any:
    """One value of the volume's type."""
    if isinstance(value, np.generic) and value.dtype != dtype:
        raise ValueError(f"a value of type {value.dtype}, the volume holds {dtype}")
    if isinstance(value, float) and dtype.kind != "f":
        raise ValueError(f"{value!r} is no value of {dtype}")
    if isinstance(value, bool) or not isinstance(value, int | float | np.generic):
        raise TypeError(f"{value!r} is neither an array nor a number")
    return np.array(value).astype(dtype) if isinstance(value, np.generic) else np.array(value, dtype)


def _proposal(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The transposition of x, y and z that would fit, if there is one."""
    for axes in itertools.permutations(range(3)):
        if (*[shape[axis] for axis in axes], shape[3]) == wanted:
            return f"; are its axes in another order? image.transpose({', '.join(map(str, axes))}) would fit"
    return ""


def cropped(voxels: Voxels, box: Bbox, part: Bbox) -> Voxels:
    """The voxels of ``part`` of those of ``box``."""
    return voxels if part == box else voxels[(part - box.minpt).to_slices()]
