"""Voxels in memory, and which voxels of a volume they are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.geometry import Bbox
from cvbatch.memory import SEGMENT, NamedArray, SharedBlock
from cvbatch.memory.segment import segment_name
from cvbatch.metadata import VoxelType


@dataclass(frozen=True)
class Canvas:
    """``voxels`` (x, y, z, channel) are those of ``box``. ``named`` is how another process finds them, if it can."""

    voxels: Voxels
    box: Bbox
    named: NamedArray | None = None

    @classmethod
    def private(cls, box: Bbox, voxel: VoxelType) -> Self:
        """Fortran-ordered memory of this process, not filled."""
        return cls(np.empty((*box.size(), voxel.channels), voxel.dtype, order="F"), box)

    @classmethod
    def at(cls, named: NamedArray, box: Bbox) -> Self:
        """Voxels that are in a segment or file."""
        return cls(named.open(), box, named)

    def part(self, box: Bbox) -> Voxels:
        """The voxels of a box inside of this one, as a view."""
        return self.voxels[(box - self.box.minpt).to_slices()]

    def to_json(self) -> dict[str, Any]:
        """How another process finds it. Only for voxels that are named."""
        assert self.named is not None
        return {"named": asdict(self.named), "box": self.box.to_list()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        named = value["named"]
        return cls.at(NamedArray(**{**named, "shape": tuple(named["shape"])}), Bbox.from_list(value["box"]))


@contextmanager
def shared_canvas(purpose: str, box: Bbox, voxel: VoxelType) -> Iterator[Canvas]:
    """Memory that other processes see, not filled.

    Its name goes at the end; the pages stay while an array is over them.
    """
    nbytes = box.volume() * voxel.nbytes
    with SharedBlock(segment_name(purpose, secrets.randbelow(10**8)), nbytes) as block:
        shape = (*box.size(), voxel.channels)
        named = NamedArray(SEGMENT, block.name, shape, voxel.data_type)
        yield Canvas(block.array(0, shape, voxel.dtype), box, named)
