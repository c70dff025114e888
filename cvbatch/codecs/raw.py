"""``raw``: the voxels themselves, little-endian, x fastest, channels last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels
from cvbatch.errors import DecodingError


@dataclass(frozen=True)
class Raw(Parameterless):
    """Specification: google/neuroglancer, precomputed/volume.md, "raw chunk encoding"."""

    traits: ClassVar[Traits] = Traits("raw", exact=True)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return True

    def encode(self, voxels: Voxels) -> Buffer:
        little = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
        if little.flags.f_contiguous:
            # A view of the array: what is written is not copied first.
            return little.reshape(-1, order="F").view(np.uint8).data
        return little.tobytes("F")

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        if len(data) != layout.nbytes:
            raise DecodingError(f"{len(data)} bytes instead of {layout.nbytes} for {layout.shape} {layout.dtype}")
        return np.frombuffer(data, layout.dtype.newbyteorder("<")).reshape(layout.shape, order="F")
