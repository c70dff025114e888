"""``jpeg``: lossy pictures of uint8, grey or RGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, FixedLoss, Layout, Traits, Voxels
from cvbatch.codecs.images import from_picture, picture_over, to_picture
from cvbatch.errors import DecodingError, EncodingError, UnsupportedFormatError

# The format's limit on either side of a picture.
LONGEST_SIDE = 65_500


@dataclass(frozen=True)
class Jpeg(FixedLoss):
    """Specification: google/neuroglancer, precomputed/volume.md, "jpeg chunk encoding".

    ``quality`` is libjpeg's, 1 to 100; 85 where the scale has no ``jpeg_quality``, as in CloudVolume.
    """

    quality: int = 85

    traits: ClassVar[Traits] = Traits("jpeg", loss="always", parameters={"quality": "jpeg_quality"})

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        quality = parameters.get("jpeg_quality", 85)
        if not isinstance(quality, int) or not 1 <= quality <= 100:
            raise UnsupportedFormatError(f"jpeg_quality is a whole number from 1 to 100, not {quality!r}")
        return cls(quality)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype == np.uint8 and channels in (1, 3)

    def encode(self, voxels: Voxels) -> Buffer:
        import simplejpeg

        picture = to_picture(voxels)
        if max(picture.shape[:2]) > LONGEST_SIDE:
            raise EncodingError(
                f"a chunk of {voxels.shape[:3]} is a picture of {picture.shape[:2]}; jpeg ends at {LONGEST_SIDE} a side"
            )
        grey = picture.shape[2] == 1
        encoded: bytes = simplejpeg.encode_jpeg(
            picture,
            quality=self.quality,
            colorspace="GRAY" if grey else "RGB",
            # Colour channels carry data here, not a photograph: keep all of them at full resolution.
            colorsubsampling="Gray" if grey else "444",
        )
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import simplejpeg

        channels = layout.shape[3]
        try:
            height, width, colours, *_ = simplejpeg.decode_jpeg_header(data)
            # Looked at before the picture is decoded: a header can claim gigabytes.
            if height * width * channels != layout.nbytes or (colours == "Gray") != (channels == 1):
                raise DecodingError(f"a jpeg of {width} × {height}, {colours}, is not a chunk of {layout.shape}")
            given = picture_over(out)
            picture = simplejpeg.decode_jpeg(data, colorspace="GRAY" if channels == 1 else "RGB", buffer=given)
        except ValueError as error:
            raise DecodingError(f"not a jpeg: {error}") from error
        return from_picture(picture, layout, out)
