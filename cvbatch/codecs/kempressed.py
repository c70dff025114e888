"""``kempressed``: fpzip of floating-point vectors, arranged so that it predicts them well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels
from cvbatch.codecs.fpzip import Fpzip


@dataclass(frozen=True)
class Kempressed(Parameterless):
    """An fpzip stream of the array (x, y, channel, z) to which 2 was added, as CloudVolume writes it.

    Adding and taking away 2 loses the last bits of small values, by at most 2**-23 each way.
    """

    traits: ClassVar[Traits] = Traits("kempressed", loss="always", releases_gil=False, viewable=False, fragile=True)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype == np.float32

    def encode(self, voxels: Voxels) -> Buffer:
        return Fpzip().encode(np.add(voxels.transpose(0, 1, 3, 2), np.float32(2), order="F", dtype=np.float32))

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        x, y, z, channels = layout.shape
        shifted = Fpzip().decode(data, Layout((x, y, channels, z), layout.dtype))
        with np.errstate(invalid="ignore", over="ignore"):  # Damaged streams hold any number.
            return shifted.transpose(0, 1, 3, 2) - np.float32(2)
