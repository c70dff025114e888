"""``npz``: the encoding of early volumes, which is read and no longer written."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels, decoding
from cvbatch.errors import DecodingError, EncodingError

# What numpy writes before the voxels, at the most.
LONGEST_HEADER = 1 << 12


@dataclass(frozen=True)
class Npz(Parameterless):
    """A numpy ``.npy`` file of the array (x, y, z, channel), compressed with zlib."""

    traits: ClassVar[Traits] = Traits("npz", viewable=False, writable=False)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return True

    def encode(self, voxels: Voxels) -> Buffer:
        raise EncodingError("npz is read and no longer written")

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        decoder = zlib.decompressobj()
        with decoding("npz"):
            # One byte more than there can be: a small file may hold gigabytes of zeros.
            raw = decoder.decompress(bytes(data), layout.nbytes + LONGEST_HEADER + 1)
            file = io.BytesIO(raw)
            np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=LONGEST_HEADER)
        voxels = raw[file.tell() :]
        if not decoder.eof or shape != layout.shape or dtype != layout.dtype or len(voxels) != layout.nbytes:
            raise DecodingError(f"an npz array of {shape} {dtype} is not a chunk of {layout.shape} {layout.dtype}")
        return np.frombuffer(voxels, layout.dtype).reshape(shape, order="F" if fortran else "C")
