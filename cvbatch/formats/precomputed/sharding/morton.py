"""Compressed Morton codes: the identifiers of chunks in a sharded scale.

Specification: google/neuroglancer, src/datasource/precomputed/volume.md, "compressed Morton code". The bits of a
chunk's grid position are interleaved, x first; an axis takes no further part once its bits suffice for the grid's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cvbatch.errors import UnsupportedFormatError
from cvbatch.geometry import Vec

MOST_BITS = 64


@dataclass(frozen=True)
class MortonCode:
    """The codes of a grid with ``shape`` cells along x, y and z.

    >>> code = MortonCode(Vec(4, 2, 1))
    >>> [code.encode(Vec(x, y, 0)) for y in range(2) for x in range(4)]
    [0, 1, 4, 5, 2, 3, 6, 7]
    >>> code.decode(6)
    Vec(2, 1, 0)
    """

    shape: Vec

    @cached_property
    def bits(self) -> tuple[tuple[int, int], ...]:
        """For each bit of a code, lowest first: the axis and the bit of its position that it comes from."""
        needed = [(n - 1).bit_length() for n in self.shape]
        bits = [(axis, bit) for bit in range(max(needed)) for axis in range(3) if bit < needed[axis]]
        if len(bits) > MOST_BITS:
            raise UnsupportedFormatError(f"a grid of {self.shape} chunks needs {len(bits)} bits; the format has 64")
        return tuple(bits)

    def encode(self, index: Vec) -> int:
        """The code of a cell."""
        return sum((index[axis] >> bit & 1) << place for place, (axis, bit) in enumerate(self.bits))

    def decode(self, code: int) -> Vec:
        """The cell of a code. It lies outside of the grid for codes that no cell has."""
        position = [0, 0, 0]
        for place, (axis, bit) in enumerate(self.bits):
            position[axis] |= (code >> place & 1) << bit
        return Vec(*position)

    def block(self, low_bits: int) -> Vec:
        """The box of cells, counted from a multiple of its size, whose codes differ in the lowest ``low_bits`` only."""
        sizes = [1, 1, 1]
        for axis, _ in self.bits[:low_bits]:
            sizes[axis] *= 2
        return Vec(*sizes)
