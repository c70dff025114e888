"""``fpzip``: floating-point voxels, predicted from their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError, UnsupportedFormatError

MAGIC = b"fpy)"
# Behind magic, version, type and precision: the extents x, y, z, channel, four bytes each.
HEADER_SIZE = slice(8, 24)


@dataclass(frozen=True)
class Fpzip:
    """Algorithm: Lindstrom and Isenburg, "Fast and efficient compression of floating-point data" (2006).

    ``precision`` is the number of bits kept of each value; 0 keeps all of them.
    """

    precision: int = 0

    traits: ClassVar[Traits] = Traits(
        "fpzip",
        loss="by parameters",
        releases_gil=False,
        viewable=False,
        fragile=True,
        parameters={"precision": "fpzip_precision"},
    )

    @property
    def lossless(self) -> bool:
        return self.precision == 0

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

        encoded: bytes = fpzip.compress(native(voxels), precision=self.precision, order="F")
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import fpzip

        raw = bytes(data)
        # A stream says its size nowhere but in its header: where that is the chunk's, nothing else is allocated.
        if raw[:4] != MAGIC or raw[HEADER_SIZE] != _header(layout)[HEADER_SIZE]:
            raise DecodingError(f"not the fpzip stream of a chunk of {layout.shape}")
        with decoding("fpzip"):
            # The library knows no end of its input. What a chunk can take at the most follows as zeros.
            voxels: Voxels = fpzip.decompress(raw + bytes(2 * layout.nbytes + 1024), order="F")
        if voxels.size != np.prod(layout.shape) or voxels.dtype != layout.dtype:
            raise DecodingError(f"an fpzip stream of {voxels.shape} {voxels.dtype} is not a chunk of {layout.shape}")
        return voxels.reshape(layout.shape, order="F")


@lru_cache(maxsize=64)
def _header(layout: Layout) -> bytes:
    """The first bytes of any stream of this layout: extents are coded before voxels."""
    import fpzip

    empty = np.zeros(layout.shape, layout.dtype, order="F")
    return bytes(fpzip.compress(empty, order="F")[: HEADER_SIZE.stop])
