"""Chunks as one object each, named after their voxels: ``<scale key>/x0-x1_y0-y1_z0-z1``.

Specification: google/neuroglancer, src/datasource/precomputed/volume.md, "unsharded chunk storage".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata.volume import ScaleInfo
from cvbatch.storage import Blob, Store
from cvbatch.storage.base import OCTETS

# What browsers can show by themselves.
CONTENT_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "jxl": "image/jxl"}


class PlainChunks:
    """The unsharded layout: each chunk can be written on its own, and is its own cell."""

    def __init__(self, store: Store, scale: ScaleInfo) -> None:
        self._store = store
        self._key = scale.key
        self._content_type = CONTENT_TYPES.get(scale.encoding, OCTETS)
        self.grid = ChunkGrid(scale.bounds, scale.chunk_size)

    @classmethod
    def write_cell(cls, scale: ScaleInfo) -> Vec:
        return scale.chunk_size

    def key(self, index: Vec) -> str:
        return f"{self._key}/{self.grid.box(index).to_filename()}"

    def read(self, index: Vec) -> Blob | None:
        return self._store.get(self.key(index))

    def groups(self, indices: Iterable[Vec]) -> list[list[Vec]]:
        return [[index] for index in indices]

    def read_group(self, indices: Sequence[Vec]) -> list[Blob | None]:
        return [self.read(index) for index in indices]

    def cell(self, box: Bbox) -> Self:
        return self

    def write(self, index: Vec, blob: Blob) -> None:
        self._store.put(self.key(index), blob, self._content_type)

    def delete(self, indices: Sequence[Vec]) -> None:
        self._store.delete_all([self.key(index) for index in indices])

    def finish(self) -> None:
        """Every chunk was stored when it was written."""

    def copies_from(self, source: Self) -> bool:
        """Whether :meth:`copy` can copy from there."""
        return self._store.copies_from(source._store)

    def copy(self, source: Self, source_index: Vec, index: Vec) -> int | None:
        """Copy a chunk inside the store, which its bytes don't leave; how many, None where it is absent."""
        return self._store.copy(source._store, source.key(source_index), self.key(index))

    def exists(self, index: Vec) -> bool:
        return self._store.exists(self.key(index))

    def any(self) -> bool:
        return next(iter(self._store.list(f"{self._key}/")), None) is not None

    def name(self, index: Vec) -> str:
        return f"{self._store.url}/{self.key(index)}"
