"""``compresso``: labels as the boundaries between them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError

MAGIC = b"cpso"


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

        # magic, version, bytes a label, then the size in voxels as three 16-bit numbers.
        if len(data) < 36 or bytes(data[:4]) != MAGIC:
            raise DecodingError("not compresso")
        width, *size = struct.unpack("<BHHH", bytes(data[5:12]))
        if tuple(size) != layout.shape[:3] or width != layout.dtype.itemsize:
            raise DecodingError(
                f"a compresso stream of {tuple(size)} with {width} bytes a label is not a chunk of "
                f"{layout.shape} {layout.dtype}"
            )
        with decoding("compresso"):
            voxels: Voxels = compresso.decompress(bytes(data))
        return voxels.reshape(layout.shape, order="F")
