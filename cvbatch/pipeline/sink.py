"""Where the voxels of a level go."""

from __future__ import annotations

from typing import Protocol

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.formats.precomputed import Cell, ChunkStore
from cvbatch.geometry import Bbox, Vec


class Sink(Protocol):
    """Takes the chunks of one level: to write them, or to compare them with what is there."""

    @property
    def chunks(self) -> ChunkStore:
        """The chunks of the level."""
        ...

    def cell(self, box: Bbox) -> Cell:
        """Begin with the chunks of a box: all of them, each once."""
        ...

    def write(self, cell: Cell, index: Vec, voxels: Voxels, tally: Tally) -> None:
        """Take a chunk (x, y, z, channel) with any strides. Errors name the chunk."""
        ...
