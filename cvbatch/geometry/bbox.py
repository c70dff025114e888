"""A half-open box of voxels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, SupportsIndex

from cvbatch.geometry.vec import Operand, Vec


@dataclass(frozen=True, init=False, repr=False)
class Bbox:
    """The voxels from ``minpt`` (in it) to ``maxpt`` (not in it).

    >>> Bbox((0, 0, 0), (64, 64, 32)).size()
    Vec(64, 64, 32)
    >>> Bbox((0, 0, 0), (10, 10, 10)).intersection(Bbox((5, 5, 5), (20, 20, 20)))
    Bbox((5, 5, 5), (10, 10, 10))
    """

    minpt: Vec
    maxpt: Vec

    def __init__(self, minpt: Iterable[SupportsIndex], maxpt: Iterable[SupportsIndex]) -> None:
        object.__setattr__(self, "minpt", Vec.of(minpt))
        object.__setattr__(self, "maxpt", Vec.of(maxpt))
        if len(self.minpt) != len(self.maxpt):
            raise ValueError(f"corners of different dimension: {self.minpt} and {self.maxpt}")

    @classmethod
    def from_delta(cls, minpt: Iterable[SupportsIndex], size: Operand) -> Self:
        """The box of ``size`` voxels that starts at ``minpt``."""
        start = Vec.of(minpt)
        return cls(start, start + size)

    @classmethod
    def from_list(cls, corners: Sequence[SupportsIndex]) -> Self:
        """From ``[x0, y0, z0, x1, y1, z1]``."""
        half = len(corners) // 2
        return cls(corners[:half], corners[half:])

    @classmethod
    def from_filename(cls, filename: str) -> Self:
        """From the name of a chunk, such as ``0-64_0-64_0-64.gz``.

        >>> Bbox.from_filename("-8-56_0-64_128-192")
        Bbox((-8, 0, 128), (56, 64, 192))
        """
        match = re.match(r"(?:.*/)?(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)(?:\.\w+)?$", filename)
        if match is None:
            raise ValueError(f"not the name of a chunk: {filename!r}")
        x0, x1, y0, y1, z0, z1 = map(int, match.groups())
        return cls((x0, y0, z0), (x1, y1, z1))

    def to_filename(self) -> str:
        """The name of this chunk in the Precomputed format: ``x0-x1_y0-y1_z0-z1``."""
        return "_".join(f"{a}-{b}" for a, b in zip(self.minpt, self.maxpt, strict=True))

    def to_list(self) -> list[int]:
        return [*self.minpt, *self.maxpt]

    def to_slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.minpt, self.maxpt, strict=True))

    def size(self) -> Vec:
        """Extent in voxels, never negative."""
        return (self.maxpt - self.minpt).maximum(0)

    def volume(self) -> int:
        """Number of voxels."""
        return self.size().product()

    def empty(self) -> bool:
        return self.volume() == 0

    def intersection(self, other: Bbox) -> Bbox:
        """The voxels in both; an empty box where there are none."""
        low = self.minpt.maximum(other.minpt)
        return Bbox(low, self.maxpt.minimum(other.maxpt).maximum(low))

    def intersects(self, other: Bbox) -> bool:
        return not self.intersection(other).empty()

    def contains_bbox(self, other: Bbox) -> bool:
        """Whether every voxel of ``other`` is in this box."""
        return other.empty() or self.intersection(other) == other

    def __add__(self, offset: Operand) -> Bbox:
        return Bbox(self.minpt + offset, self.maxpt + offset)

    def __sub__(self, offset: Operand) -> Bbox:
        return Bbox(self.minpt - offset, self.maxpt - offset)

    def __repr__(self) -> str:
        return f"Bbox({self.minpt}, {self.maxpt})"

    def __str__(self) -> str:
        return f"{self.minpt}–{self.maxpt}"
