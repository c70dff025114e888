"""Chunks that were used of late, in memory: array-encoded, without the compression around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from cvbatch.codecs.base import Buffer
from cvbatch.formats.precomputed import Cell, ChunkStore
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.lru import Lru
from cvbatch.storage import Blob

ChunkLru: TypeAlias = Lru[str, bytes]


class LruChunks:
    """The chunks of a scale, read from an :class:`Lru` where they are in it. They enter it when they are read."""

    def __init__(self, chunks: ChunkStore, lru: ChunkLru, unpack: Callable[[Vec, Blob], Buffer]) -> None:
        self.grid: ChunkGrid = chunks.grid
        self._chunks, self._lru, self._unpack = chunks, lru, unpack

    def read(self, index: Vec) -> Blob | None:
        return self.read_group([index])[0]

    def groups(self, indices: Iterable[Vec]) -> list[list[Vec]]:
        return self._chunks.groups(indices)

    def read_group(self, indices: Sequence[Vec]) -> list[Blob | None]:
        known = {index: data for index in indices if (data := self._lru.get(self._chunks.key(index))) is not None}
        others = [index for index in indices if index not in known]
        read = dict(zip(others, self._chunks.read_group(others), strict=True))
        return [Blob(known[index]) if index in known else self._keep(index, read[index]) for index in indices]

    def _keep(self, index: Vec, blob: Blob | None) -> Blob | None:
        """The chunk without compression, which stays in memory."""
        if blob is None or len(blob.data) == 0:
            return blob
        data = bytes(self._unpack(index, blob))
        self._lru[self._chunks.key(index)] = data
        return Blob(data)

    def cell(self, box: Bbox) -> Cell:
        return self._chunks.cell(box)

    def exists(self, index: Vec) -> bool:
        return self._chunks.exists(index)

    def any(self) -> bool:
        return self._chunks.any()

    def key(self, index: Vec) -> str:
        return self._chunks.key(index)

    def name(self, index: Vec) -> str:
        return self._chunks.name(index)
