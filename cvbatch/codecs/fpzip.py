"""``fpzip``: floating-point voxels, predicted from their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Voxels
from cvbatch.errors import DecodingError, UnsupportedFormatError


@dataclass(frozen=True)
class Fpzip:
    """Algorithm: Lindstrom and Isenburg, "Fast and efficient compression of floating-point data" (2006).

    ``precision`` is the number of bits kept of each value; 0 keeps all of them.
    """

    precision: int = 0

    name: ClassVar[str] = "fpzip"
    lossless: ClassVar[bool] = True
    releases_gil: ClassVar[bool] = False
    parameters: ClassVar[tuple[str, ...]] = ("fpzip_precision",)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        precision = parameters.get("fpzip_precision", 0)
        if not isinstance(precision, int) or not 0 <= precision <= 64:
            raise UnsupportedFormatError(f"fpzip_precision is a whole number from 0 to 64, not {precision!r}")
        return cls(precision)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype == np.float32

    def encode(self, voxels: Voxels) -> Buffer:
        import fpzip

        encoded: bytes = fpzip.compress(np.asfortranarray(voxels), precision=self.precision, order="F")
        return encoded

    def decode(self, data: Buffer, layout: Layout) -> Voxels:
        import fpzip

        if len(data) < 4 or bytes(data[:3]) != b"fpy":
            raise DecodingError("not fpzip")
        try:
            voxels: Voxels = fpzip.decompress(bytes(data), order="F")
        except Exception as error:  # The library raises bare exceptions of its own.
            raise DecodingError(f"not fpzip: {error}") from error
        if voxels.size != np.prod(layout.shape) or voxels.dtype != layout.dtype:
            raise DecodingError(f"an fpzip stream of {voxels.shape} {voxels.dtype} is not a chunk of {layout.shape}")
        return voxels.reshape(layout.shape, order="F")
