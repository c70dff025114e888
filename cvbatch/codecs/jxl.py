"""``jxl``: JPEG XL pictures of uint8, grey or RGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Traits, Voxels
from cvbatch.codecs.images import from_picture, picture_over, to_picture
from cvbatch.errors import DecodingError, EncodingError, UnsupportedFormatError

LOSSLESS = 100


@dataclass(frozen=True)
class Jxl:
    """Standard: ISO/IEC 18181. ``quality`` is 1 to 100, 100 being lossless; ``effort`` 1 (fast) to 9 (small).

    Without ``jxl_quality`` in the scale it is 85, as for jpeg.
    """

    quality: int = 85
    effort: int = 3

    traits: ClassVar[Traits] = Traits(
        "jxl", loss="by parameters", parameters={"quality": "jxl_quality", "effort": "jxl_effort"}
    )

    @property
    def lossless(self) -> bool:
        return self.quality == LOSSLESS

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        quality, effort = parameters.get("jxl_quality", 85), parameters.get("jxl_effort", 3)
        if type(quality) is not int or not 1 <= quality <= LOSSLESS:
            raise UnsupportedFormatError(f"jxl_quality is a whole number from 1 to 100, not {quality!r}")
        if type(effort) is not int or not 1 <= effort <= 9:
            raise UnsupportedFormatError(f"jxl_effort is a whole number from 1 to 9, not {effort!r}")
        return cls(quality, effort)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype == np.uint8 and channels in (1, 3)

    def encode(self, voxels: Voxels) -> Buffer:
        import imagecodecs

        picture = to_picture(voxels)
        picture = picture[:, :, 0] if picture.shape[2] == 1 else picture
        quality = {"lossless": True} if self.lossless else {"level": self.quality}
        try:
            encoded: bytes | bytearray = imagecodecs.jpegxl_encode(picture, effort=self.effort, numthreads=1, **quality)
        except imagecodecs.JpegxlError as error:
            raise EncodingError(f"jxl: {error}") from error
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import imagecodecs

        width, height = _size(bytes(data[:4096]))
        x, y, z, _ = layout.shape
        if width * height != x * y * z:
            raise DecodingError(f"a jxl of {width} × {height} is not a chunk of {layout.shape}")
        given = picture_over(out) if (height, width) == (y * z, x) else None
        try:
            picture = imagecodecs.jpegxl_decode(
                bytes(data), numthreads=1, out=None if given is None else given[:, :, 0]
            )
        except (imagecodecs.JpegxlError, ValueError, RuntimeError) as error:
            raise DecodingError(f"not jxl: {error}") from error
        return from_picture(picture, layout, out)


# Width over height, by the number in the header; 0 says that the width is written out.
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
SIGNATURE = b"\xff\x0a"


def _size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a codestream, alone or in a container (ISO/IEC 18181-1, D.2).

    Read before the picture is decoded: a header can claim gigabytes.
    """
    start = 0 if data.startswith(SIGNATURE) else data.find(SIGNATURE)
    if start < 0:
        raise DecodingError("not jxl")
    bits = _Bits(int.from_bytes(data[start + 2 : start + 18], "little"))
    small = bool(bits.take(1))
    height = 8 * (bits.take(5) + 1) if small else bits.size()
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = RATIOS[ratio]
        return height * numerator // denominator, height
    return (8 * (bits.take(5) + 1) if small else bits.size()), height


class _Bits:
    """Numbers out of a row of bits, the lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def size(self) -> int:
        """A length of 9, 13, 18 or 30 bits, as two bits before it say."""
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1
