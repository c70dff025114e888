"""The two contracts of a codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Voxels: TypeAlias = NDArray[Any]
Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Layout:
    """The array that a chunk stands for: ``shape`` is (x, y, z, channel)."""

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


class ArrayCodec(Protocol):
    """An array (x, y, z, channel) to bytes and back. Frozen and safe to use from several threads.

    ``parameters`` names the members of a scale in ``info`` that the codec reads; ``releases_gil`` says
    whether threads of one process help, or only more processes do.
    """

    name: ClassVar[str]
    lossless: ClassVar[bool]
    releases_gil: ClassVar[bool]
    parameters: ClassVar[tuple[str, ...]]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The codec with the parameters of a scale. Raises UnsupportedFormatError for values it can't use."""
        ...

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        """Whether it can hold such voxels."""
        ...

    def encode(self, voxels: Voxels) -> Buffer:
        """Bytes of an array (x, y, z, channel) with any strides."""
        ...

    def decode(self, data: Buffer, layout: Layout) -> Voxels:
        """The array, perhaps read-only. Raises DecodingError for bytes that can't be one of ``layout``."""
        ...


class ByteCodec(Protocol):
    """Bytes to fewer bytes. ``encoding`` is its HTTP name. The same input gives the same output."""

    encoding: ClassVar[str]

    def compress(self, data: Buffer) -> Buffer: ...
