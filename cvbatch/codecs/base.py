"""The two contracts of a codec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvbatch.errors import DecodingError

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


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Whatever a library raises about bytes is a DecodingError; a lack of memory is not the bytes' fault."""
    try:
        yield
    except (DecodingError, MemoryError):
        raise
    except Exception as error:  # Libraries have bare exceptions of their own.
        raise DecodingError(f"not {name}: {error}") from error


def native(voxels: Voxels) -> Voxels:
    """The voxels in Fortran order, in the byte order of this machine, and writable; a copy only where they aren't.

    C libraries ask for memory that they could write to, though they don't.
    """
    return np.require(voxels, dtype=voxels.dtype.newbyteorder("="), requirements=["F", "W"])


@dataclass(frozen=True)
class Traits:
    """What is true of an encoding whatever its parameters.

    ``loss`` says whether voxels come back as they were: "never" lossy, "always", or "by parameters".
    ``releases_gil`` says whether threads of one process help, or only more processes do. ``viewable`` is
    what Neuroglancer itself shows. ``exact`` says that an array has as many bytes as its voxels. ``fragile`` says that
    damaged bytes may end the process: the library trusts them, and nothing in them tells before. ``parameters`` are the
    members of a scale in ``info`` that decide the bytes, by the short names that configurations have for them.
    """

    name: str
    loss: str = "never"
    releases_gil: bool = True
    viewable: bool = True
    writable: bool = True
    exact: bool = False
    fragile: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


class ArrayCodec(Protocol):
    """An array (x, y, z, channel) to bytes and back. Frozen and safe to use from several threads."""

    traits: ClassVar[Traits]

    @property
    def lossless(self) -> bool:
        """Whether voxels come back as they were, with these parameters."""
        ...

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

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        """The array, perhaps read-only. Raises DecodingError for bytes that can't be one of ``layout``.

        ``out`` is an array of that layout in Fortran order. A codec whose library can write there does so and
        returns ``out``; others return an array of their own.
        """
        ...


class FixedLoss:
    """What codecs have in common whose parameters don't decide about loss."""

    traits: ClassVar[Traits]

    @property
    def lossless(self) -> bool:
        """Whether voxels come back as they were."""
        return self.traits.loss == "never"


class Parameterless(FixedLoss):
    """What codecs without parameters have in common."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The one codec there is."""
        return cls()


class ByteCodec(Protocol):
    """Bytes to fewer bytes. ``encoding`` is its HTTP name. The same input gives the same output."""

    @property
    def encoding(self) -> str:
        """What a :class:`~cvbatch.storage.Blob` of its output says."""
        ...

    def compress(self, data: Buffer) -> Buffer: ...
