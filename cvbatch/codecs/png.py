"""``png``: lossless pictures of uint8 and uint16 with one to four channels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, FixedLoss, Layout, Traits, Voxels
from cvbatch.codecs.images import from_picture, picture_over, to_picture
from cvbatch.errors import DecodingError, EncodingError, UnsupportedFormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Png(FixedLoss):
    """Specification: google/neuroglancer, precomputed/volume.md, "png chunk encoding".

    ``level`` is zlib's, 0 to 9; 6 where the scale has no ``png_level``.
    """

    level: int = 6

    traits: ClassVar[Traits] = Traits("png", parameters={"level": "png_level"})

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        level = parameters.get("png_level", 6)
        if not isinstance(level, int) or not 0 <= level <= 9:
            raise UnsupportedFormatError(f"png_level is a whole number from 0 to 9, not {level!r}")
        return cls(level)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype in (np.uint8, np.uint16) and 1 <= channels <= 4

    def encode(self, voxels: Voxels) -> Buffer:
        import imagecodecs

        picture = to_picture(voxels)
        if picture.shape[2] == 1:
            picture = picture[:, :, 0]
        try:
            encoded: bytes | bytearray = imagecodecs.png_encode(picture, level=self.level, out=_most_bytes(picture))
        except imagecodecs.PngError as error:
            raise EncodingError(f"png: {error}") from error
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import imagecodecs

        # The header is looked at before the picture is decoded: it can claim gigabytes.
        if len(data) < 26 or bytes(data[:8]) != SIGNATURE:
            raise DecodingError("not a png")
        _check_sums(memoryview(data))
        width, height = struct.unpack(">II", bytes(data[16:24]))
        x, y, z, _ = layout.shape
        if width * height != x * y * z:
            raise DecodingError(f"a png of {width} × {height} is not a chunk of {layout.shape}")
        try:
            given = picture_over(out) if (height, width) == (y * z, x) and self._is_grey(data, layout) else None
            picture = imagecodecs.png_decode(bytes(data), out=None if given is None else given[:, :, 0])
        except (imagecodecs.PngError, ValueError) as error:
            raise DecodingError(f"not a png: {error}") from error
        return from_picture(picture, layout, out)

    @staticmethod
    def _is_grey(data: Buffer, layout: Layout) -> bool:
        """Whether the header says one channel with the bits of the chunk's voxels."""
        bits, colour_type = bytes(data[24:26])
        return bits == 8 * layout.dtype.itemsize and colour_type == 0


def _most_bytes(picture: Voxels) -> int:
    """Room for any png of this picture: a filter byte a row, and what zlib and png put round the data.

    imagecodecs makes too little room for narrow pictures of noise if it isn't told. Its fast levels code noise with
    9 bits a byte.
    """
    rows: int = picture.nbytes + picture.shape[0]
    return rows + rows // 4 + 4096


def _check_sums(data: memoryview) -> None:
    """Raise for a part whose checksum is wrong, and for a file without an end.

    The library finds that too, but gives up a reference to None that isn't its own each time: a process that
    met ten thousand damaged chunks would die.
    """
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        kind, end = bytes(data[start + 4 : start + 8]), start + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[start + 4 : end]) != int.from_bytes(data[end : end + 4]):
            raise DecodingError(f"png: the checksum of its part {kind!r} is wrong")
        if kind == b"IEND":
            return
        start = end + 4
    raise DecodingError("png: cut short")
