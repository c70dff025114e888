"""``png``: lossless pictures of uint8 and uint16 with one to four channels."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Traits, Voxels
from cvbatch.codecs.images import from_picture, to_picture
from cvbatch.errors import DecodingError, EncodingError, UnsupportedFormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Png:
    """Specification: google/neuroglancer, precomputed/volume.md, "png chunk encoding".

    ``level`` is zlib's, 0 to 9; 6 where the scale has no ``png_level``.
    """

    level: int = 6

    traits: ClassVar[Traits] = Traits("png", parameters={"level": "png_level"})

    @property
    def lossless(self) -> bool:
        return True

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

    def decode(self, data: Buffer, layout: Layout) -> Voxels:
        import imagecodecs

        # The header is looked at before the picture is decoded: it can claim gigabytes.
        if len(data) < 24 or bytes(data[:8]) != SIGNATURE:
            raise DecodingError("not a png")
        width, height = struct.unpack(">II", bytes(data[16:24]))
        x, y, z, _ = layout.shape
        if width * height != x * y * z:
            raise DecodingError(f"a png of {width} × {height} is not a chunk of {layout.shape}")
        try:
            picture = imagecodecs.png_decode(bytes(data))
        except (imagecodecs.PngError, ValueError) as error:
            raise DecodingError(f"not a png: {error}") from error
        return from_picture(picture, layout)


def _most_bytes(picture: Voxels) -> int:
    """Room for any png of this picture: a filter byte a row, and what zlib and png put round the data.

    imagecodecs makes too little room for narrow pictures of noise if it isn't told.
    """
    rows: int = picture.nbytes + picture.shape[0]
    return rows + rows // 256 + 4096
