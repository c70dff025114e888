"""Chunks that were used of late, in memory: array-encoded, without the compression around it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping

from cvbatch.formats.precomputed import ChunkStore
from cvbatch.geometry import ChunkGrid, Vec
from cvbatch.metadata import VoxelType
from cvbatch.pipeline import unpacked
from cvbatch.storage import Blob


class Lru(MutableMapping[str, bytes]):
    """Bytes by name, at most ``size`` of them in all; what was not used for longest makes room. Thread-safe."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.nbytes = 0
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> bytes:
        with self._lock:
            value = self._items[key]
            self._items.move_to_end(key)
            return value

    def __setitem__(self, key: str, value: bytes) -> None:
        with self._lock:
            self._drop(key)
            if len(value) <= self.size:
                self._items[key] = value
                self.nbytes += len(value)
            self._make_room()

    def __delitem__(self, key: str) -> None:
        with self._lock:
            if key not in self._items:
                raise KeyError(key)
            self._drop(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Lru({len(self)} chunks, {self.nbytes:,} of {self.size:,} bytes)"

    def resize(self, size: int) -> None:
        """Allow ``size`` bytes from now on; 0 keeps nothing."""
        if size < 0:
            raise ValueError(f"an LRU of {size} bytes")
        with self._lock:
            self.size = size
            self._make_room()

    def _drop(self, key: str) -> None:
        self.nbytes -= len(self._items.pop(key, b""))

    def _make_room(self) -> None:
        while self.nbytes > self.size:
            _, value = self._items.popitem(last=False)
            self.nbytes -= len(value)


class LruChunks:
    """The chunks of a scale, read from an :class:`Lru` where they are in it. They enter it when they are read."""

    def __init__(self, chunks: ChunkStore, lru: Lru, voxel: VoxelType) -> None:
        self.grid: ChunkGrid = chunks.grid
        self._chunks, self._lru, self._voxel = chunks, lru, voxel

    def read(self, index: Vec) -> Blob | None:
        name = self._chunks.key(index)
        found = self._lru.get(name)
        if found is not None:
            return Blob(found)
        blob = self._chunks.read(index)
        if blob is None or len(blob.data) == 0:
            return blob
        data = bytes(unpacked(self._chunks, self._voxel, index, blob))
        self._lru[name] = data
        return Blob(data)

    def write(self, index: Vec, blob: Blob) -> None:
        self._lru.pop(self._chunks.key(index), None)
        self._chunks.write(index, blob)

    def delete(self, index: Vec) -> bool:
        self._lru.pop(self._chunks.key(index), None)
        return self._chunks.delete(index)

    def exists(self, index: Vec) -> bool:
        return self._chunks.exists(index)

    def any(self) -> bool:
        return self._chunks.any()

    def key(self, index: Vec) -> str:
        return self._chunks.key(index)

    def name(self, index: Vec) -> str:
        return self._chunks.name(index)
