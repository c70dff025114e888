"""``compresso``: labels as the boundaries between them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError

MAGIC = b"cpso"
# Magic, version, bytes a label, size in voxels, window in voxels, then how many ids, window values and locations
# there are, and the connectivity.
HEADER = struct.Struct("<4sBBHHHBBBQIQB")


@dataclass(frozen=True)
class Compresso(Parameterless):
    """Algorithm: Matejek et al., "Compresso: efficient compression of segmentation data" (2017).

    The stream is that of the ``compresso`` package, version 0 or 1.
    """

    traits: ClassVar[Traits] = Traits("compresso", releases_gil=False, fragile=True)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype.kind == "u" and channels == 1

    def encode(self, voxels: Voxels) -> Buffer:
        import compresso

        encoded: bytes = compresso.compress(native(voxels[:, :, :, 0]))
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import compresso

        _check_header(bytes(data[: HEADER.size]), len(data), layout)
        with decoding("compresso"):
            voxels: Voxels = compresso.decompress(bytes(data))
        return voxels.reshape(layout.shape, order="F")


def _check_header(header: bytes, nbytes: int, layout: Layout) -> None:
    """Raise for a header that is not one of ``layout``, or that claims more than there is."""
    if len(header) < HEADER.size:
        raise DecodingError("not compresso")
    magic, _, width, sx, sy, sz, step_x, step_y, step_z, ids, values, locations, _ = HEADER.unpack(header)
    if magic != MAGIC or (sx, sy, sz) != layout.shape[:3] or width != layout.dtype.itemsize:
        raise DecodingError(f"not the compresso stream of a chunk of {layout.shape} {layout.dtype}")
    window_bits = step_x * step_y * step_z
    if not 1 <= window_bits <= 64:
        raise DecodingError(f"compresso windows of {step_x} × {step_y} × {step_z} voxels")
    window_bytes = next(size for size in (1, 2, 4, 8) if window_bits <= 8 * size)
    if HEADER.size + (ids + locations) * width + values * window_bytes > nbytes:
        raise DecodingError("compresso: cut short")
