"""The chunks of one scale, by their index in its grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from cvbatch.formats.precomputed.plain import PlainChunks
from cvbatch.formats.precomputed.sharding import ShardedChunks, ShardingSpec, shards_are_boxes
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata.volume import ScaleInfo
from cvbatch.storage import Blob, Store


class ChunkStore(Protocol):
    """Encoded chunks of one scale. Readers and writers know no more of the layout than this.

    ``grid`` is the scale cut into chunks.
    """

    grid: ChunkGrid

    def read(self, index: Vec) -> Blob | None:
        """The bytes of a chunk as they are stored, None where it is absent."""
        ...

    def groups(self, indices: Iterable[Vec]) -> list[list[Vec]]:
        """The chunks, together with those that are best read in one go."""
        ...

    def read_group(self, indices: Sequence[Vec]) -> list[Blob | None]:
        """As :meth:`read`, for several chunks at once."""
        ...

    def cell(self, box: Bbox) -> Cell:
        """Begin to write the chunks of a box: all of them, each once. Best made of whole write cells."""
        ...

    def exists(self, index: Vec) -> bool:
        """Whether the chunk is there."""
        ...

    def any(self) -> bool:
        """Whether any chunk of the scale is there."""
        ...

    def key(self, index: Vec) -> str:
        """The name of the chunk within its volume: ``<scale key>/x0-x1_y0-y1_z0-z1``."""
        ...

    def name(self, index: Vec) -> str:
        """What to call the chunk in an error: the path where it is looked for."""
        ...


class Cell(Protocol):
    """Chunks of a box on their way to the store. Safe to use from several threads."""

    def write(self, index: Vec, blob: Blob) -> None:
        """Store a chunk, in place of what was there; when this returns or later."""
        ...

    def delete(self, indices: Sequence[Vec]) -> None:
        """See to it that chunks are not there."""
        ...

    def finish(self) -> None:
        """Return when all is stored."""
        ...


class ChunkLayout(ChunkStore, Protocol):
    """A way to lay out the chunks of a scale in a store."""

    def __init__(self, store: Store, scale: ScaleInfo) -> None: ...

    @classmethod
    def write_cell(cls, scale: ScaleInfo) -> Vec:
        """The size in voxels of the smallest box that can be written on its own.

        Two tasks that write into one cell would undo each other's work.
        """
        ...


def layout_of(scale: ScaleInfo) -> type[ChunkLayout]:
    """How the chunks of a scale are laid out."""
    return PlainChunks if scale.sharding is None else ShardedChunks


def objects_in(scale: ScaleInfo, box: Bbox) -> int:
    """How many objects hold the chunks of a box: as many as it has chunks, or shards."""
    cells = ChunkGrid(scale.bounds, layout_of(scale).write_cell(scale))
    if scale.sharding is None or shards_are_boxes(scale):
        return cells.index_range(box).volume()
    chunks = ChunkGrid(scale.bounds, scale.chunk_size).index_range(box).volume()
    return min(chunks, 1 << ShardingSpec.from_json(scale.sharding).shard_bits)


def copier(source: ChunkStore, target: ChunkStore) -> Callable[[Vec, Vec], int | None] | None:
    """What copies the chunk of one index to another inside the store, and says how many bytes it has (None: absent).

    None where the store can't, or a chunk is no object of its own.
    """
    if isinstance(source, PlainChunks) and isinstance(target, PlainChunks) and target.copies_from(source):
        return partial(target.copy, source)
    return None


def open_chunks(store: Store, scale: ScaleInfo) -> ChunkStore:
    """The chunks of a scale of the volume at ``store``."""
    return layout_of(scale)(store, scale)
