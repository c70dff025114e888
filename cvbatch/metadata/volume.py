"""What a volume is: its scales, and what one voxel holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cvbatch.codecs import array_codec, codecs_for
from cvbatch.errors import ScaleUnavailableError, UnsupportedFormatError
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import leaves

# Along an axis: numbers beyond it are nobody's, and too large to reckon with.
MOST_VOXELS = 1 << 48
LAYER_TYPES = ("image", "segmentation")
# The ones that the Precomputed format names.
DATA_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32")


@dataclass(frozen=True)
class VoxelType:
    """What one voxel holds: ``channels`` numbers of ``data_type``, grey values or labels (``layer_type``)."""

    layer_type: str
    data_type: str
    channels: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.data_type)

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * self.channels

    def __str__(self) -> str:
        return f"{self.layer_type}, {self.data_type}, {self.channels} channel{'s' if self.channels != 1 else ''}"


@dataclass(frozen=True)
class ScaleInfo:
    """One mip level. ``other`` keeps the members that have no field here, such as ``jpeg_quality``."""

    key: str
    size: Vec
    voxel_offset: Vec
    resolution: tuple[float, ...]
    chunk_sizes: tuple[Vec, ...]
    encoding: str
    sharding: dict[str, Any] | None = None
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> Bbox:
        return Bbox.from_delta(self.voxel_offset, self.size)

    @property
    def shard_compression(self) -> str | None:
        """What a sharded scale says is around its chunks, ``gzip`` or ``none``; None for one that isn't sharded."""
        if self.sharding is None:
            return None
        return "gzip" if self.sharding.get("data_encoding") == "gzip" else "none"

    @property
    def cells(self) -> str:
        """What can be written on its own, in a word for messages."""
        return "chunks" if self.sharding is None else "shards"

    @property
    def chunk_size(self) -> Vec:
        """The first of the chunk sizes, which is the one that is read and written."""
        return self.chunk_sizes[0]


@dataclass(frozen=True)
class VolumeInfo:
    """All mip levels of a volume, finest first. ``other`` keeps the members that have no field here."""

    voxel: VoxelType
    scales: tuple[ScaleInfo, ...]
    other: dict[str, Any] = field(default_factory=dict)

    def scale(self, mip: int) -> ScaleInfo:
        """The scale of a mip level. Raises :class:`ScaleUnavailableError` with the list of those there are."""
        if not 0 <= mip < len(self.scales):
            there = ", ".join(f"{i} ({format_resolution(s.resolution)} nm)" for i, s in enumerate(self.scales))
            raise ScaleUnavailableError(f"no mip {mip}; there are {there}")
        return self.scales[mip]

    def mip_at(self, resolution: tuple[float, ...]) -> int | None:
        """The mip level with this resolution, None where there is none."""
        return next((i for i, scale in enumerate(self.scales) if scale.resolution == resolution), None)


def check_key(scale: ScaleInfo) -> None:
    """Raise :class:`UnsupportedFormatError` for a scale outside of its volume's folder: it can only be read."""
    if leaves(scale.key):
        raise UnsupportedFormatError(
            f"the key {scale.key!r} of a scale leads out of its volume: it can be read, and nothing is written or"
            " deleted there. Open the volume that it belongs to"
        )


def check_writable(voxel: VoxelType, scale: ScaleInfo) -> None:
    """Raise :class:`UnsupportedFormatError` where such voxels can't be written in a scale's encoding, or place."""
    check_key(scale)
    if max(*scale.size, *scale.chunk_size) > MOST_VOXELS:
        raise UnsupportedFormatError(f"chunks or a size beyond {MOST_VOXELS:,} voxels along an axis cannot be written")
    codec = array_codec(scale.encoding, scale.other)
    if not codec.traits.writable or not codec.holds(voxel.dtype, voxel.channels):
        possible = ", ".join(codecs_for(voxel.dtype, voxel.channels))
        raise UnsupportedFormatError(f"encoding {scale.encoding} cannot be written for {voxel}; these can: {possible}")


def format_resolution(resolution: tuple[float, ...]) -> str:
    """``4 × 4 × 40``."""
    return " × ".join(f"{r:g}" for r in resolution)
