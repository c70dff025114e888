"""Chunks as flat pictures: what jpeg and png share.

A chunk (x, y, z, channel) becomes a picture ``x`` wide and ``y * z`` high, sections one below the other.
Readers accept any width and height with the right number of pixels, as the Precomputed format says.
"""

from __future__ import annotations

import numpy as np

from cvbatch.codecs.base import Layout, Voxels
from cvbatch.errors import DecodingError


def to_picture(voxels: Voxels) -> Voxels:
    """(x, y, z, channel) with any strides to C-ordered (y * z, x, channel)."""
    x, y, z, channels = voxels.shape
    picture = np.ascontiguousarray(voxels.transpose(2, 1, 0, 3), dtype=voxels.dtype.newbyteorder("="))
    return picture.reshape(y * z, x, channels)


def picture_over(out: Voxels | None) -> Voxels | None:
    """The memory of ``out`` (x, y, z, 1) as a picture (y * z, x, 1); None where a picture can't lie there.

    The channels of a picture are next to each other, those of a volume far apart: only one channel fits.
    """
    if out is None or out.shape[3] != 1 or not out.flags.f_contiguous:
        return None
    x, y, z, _ = out.shape
    return out.T.reshape(z * y, x, 1)


def from_picture(picture: Voxels, layout: Layout, out: Voxels | None = None) -> Voxels:
    """The inverse of :func:`to_picture`, without a copy: ``out`` itself if the picture lies over it."""
    if out is not None and np.may_share_memory(picture, out):
        return out
    x, y, z, channels = layout.shape
    found = picture.shape[2] if picture.ndim == 3 else 1
    if picture.size != x * y * z * channels or found != channels or picture.dtype != layout.dtype:
        raise DecodingError(
            f"a picture of {picture.shape[:2]} with {found} channels of {picture.dtype} "
            f"is not a chunk of {layout.shape} {layout.dtype}"
        )
    return picture.reshape(z, y, x, channels).transpose(2, 1, 0, 3)
