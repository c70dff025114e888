"""The chunks of one scale, by their index in its grid."""

from __future__ import annotations

from typing import Protocol

from cvbatch.errors import UnsupportedFormatError
from cvbatch.formats.precomputed.plain import PlainChunks
from cvbatch.geometry import ChunkGrid, Vec
from cvbatch.metadata.volume import ScaleInfo
from cvbatch.storage import Blob, Store


class ChunkStore(Protocol):
    """Encoded chunks of one scale. Readers and writers know no more of the layout than this.

    ``grid`` is the scale cut into chunks. ``write_cell`` is the size in voxels of the smallest box that
    can be written on its own: two tasks that write into one cell would undo each other's work.
    """

    grid: ChunkGrid
    write_cell: Vec

    def read(self, index: Vec) -> Blob | None:
        """The bytes of a chunk as they are stored, None where it is absent."""
        ...

    def write(self, index: Vec, blob: Blob) -> None:
        """Store a chunk, in place of what was there."""
        ...

    def delete(self, index: Vec) -> bool:
        """Remove a chunk; whether it was there."""
        ...

    def name(self, index: Vec) -> str:
        """What to call the chunk in an error: the path where it is looked for."""
        ...


def open_chunks(store: Store, scale: ScaleInfo) -> ChunkStore:
    """The chunks of a scale of the volume at ``store``."""
    if scale.sharding is not None:
        raise UnsupportedFormatError(f"{store.url}: scale {scale.key} is sharded, which this version cannot read")
    return PlainChunks(store, scale)
