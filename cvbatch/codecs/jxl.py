"""``jxl``: JPEG XL pictures of uint8, grey or RGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Traits, Voxels
from cvbatch.codecs.images import from_picture, to_picture
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

    def decode(self, data: Buffer, layout: Layout) -> Voxels:
        import imagecodecs

        try:
            picture = imagecodecs.jpegxl_decode(bytes(data), numthreads=1)
        except (imagecodecs.JpegxlError, ValueError, RuntimeError) as error:
            raise DecodingError(f"not jxl: {error}") from error
        return from_picture(picture, layout)
