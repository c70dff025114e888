"""Which objects of a scale are there, by their names alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbatch.formats.precomputed.chunks import layout_of
from cvbatch.formats.precomputed.sharding import ShardedChunks, shards_are_boxes
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata.volume import ScaleInfo
from cvbatch.storage import Store

STRAYS_NAMED = 10


@dataclass(frozen=True)
class Listing:
    """What a listing says of a box: how many objects hold it, which are missing, and which are there twice.

    Objects are named by their boxes of voxels. ``strays`` count those that no reader of this scale asks for; the first
    are named. ``missing`` is None where names can't tell, because chunks are spread over shards by a hash.
    """

    level: str
    expected: int
    missing: tuple[Bbox, ...] | None
    twice: tuple[Bbox, ...]
    strays: int
    stray_names: tuple[str, ...]


def list_objects(store: Store, scale: ScaleInfo, box: Bbox) -> Listing:
    """List the scale, and compare with the objects that hold ``box`` (voxels of the scale, of whole write cells).

    A byte is in memory for each object that is expected.
    """
    grid = ChunkGrid(scale.bounds, layout_of(scale).write_cell(scale))
    names = _Names.of(store, scale, grid)
    span = grid.index_range(box)
    seen = np.zeros(tuple(span.size()), np.uint8)
    strays, first_strays = 0, list[str]()
    for key in store.list(f"{scale.key}/"):
        index = names.index(key.removeprefix(f"{scale.key}/"))
        if index is None:
            strays += 1
            first_strays += [key] if len(first_strays) < STRAYS_NAMED else []
            continue
        place = tuple(index - span.minpt)
        if all(0 <= at < size for at, size in zip(place, seen.shape, strict=True)):
            seen[place] = min(int(seen[place]) + 1, 2)
    together = scale.sharding is None or shards_are_boxes(scale)
    missing = tuple(_boxes(grid, span, seen == 0)) if together else None
    return Listing(
        scale.key,
        int(span.volume()),
        missing,
        tuple(_boxes(grid, span, seen == 2)) if together else (),
        strays,
        tuple(first_strays),
    )


def _boxes(grid: ChunkGrid, span: Bbox, where: NDArray[np.bool_]) -> Iterator[Bbox]:
    return (grid.box(span.minpt + Vec(*map(int, place))) for place in np.argwhere(where))


@dataclass(frozen=True)
class _Names:
    """Which cell of the grid an object holds, by its name below the scale."""

    grid: ChunkGrid
    shards: dict[str, Vec] | None

    @classmethod
    def of(cls, store: Store, scale: ScaleInfo, grid: ChunkGrid) -> _Names:
        if scale.sharding is None:
            return cls(grid, None)
        chunks = ShardedChunks(store, scale)
        ratio = grid.cell // scale.chunk_size
        cells = (grid.index(number) for number in range(len(grid)))
        return cls(grid, {chunks.spec.filename(chunks.place(cell * ratio)[1]): cell for cell in cells})

    def index(self, name: str) -> Vec | None:
        if self.shards is not None:
            return self.shards.get(name)
        try:
            box = Bbox.from_filename(name)
        except ValueError:
            return None
        index = (box.minpt - self.grid.bounds.minpt) // self.grid.cell
        inside = self.grid.bounds.contains_bbox(box) and self.grid.box(index) == box
        return index if inside else None
