"""How one scale of a volume is read and written: all that a process needs to be told."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from cvbatch.codecs import array_codec, byte_codec
from cvbatch.formats.precomputed import ChunkStore, layout_of, open_chunks
from cvbatch.geometry import ChunkGrid
from cvbatch.metadata import ScaleInfo, VoxelType
from cvbatch.metadata.job import scale_from_json, scale_to_json
from cvbatch.pipeline import ABSENT_IS_ERROR, ABSENT_IS_FILLED, ChunkReader, ChunkWriter
from cvbatch.process.recorder import Recorder
from cvbatch.storage import Location, Store, StoreOptions, open_store, parse_location
from cvbatch.storage.options import REQUESTS_AT_ONCE
from cvbatch.volume.cache import CachedStore, CacheSettings
from cvbatch.volume.lru import ChunkLru, LruChunks


@dataclass(frozen=True)
class Access:
    """One scale, and what reading and writing it should do.

    ``background`` is what an absent chunk reads as where ``fill_missing`` allows it, and what is around the
    volume. ``compress`` is a name of :data:`~cvbatch.codecs.BYTE_ENCODINGS`.
    """

    location: Location
    voxel: VoxelType
    scale: ScaleInfo
    fill_missing: bool = False
    background: float = 0
    delete_background: bool = False
    compress: str = "none"
    compress_level: int | None = None
    cache: CacheSettings | None = None

    @property
    def grid(self) -> ChunkGrid:
        return ChunkGrid(self.scale.bounds, self.scale.chunk_size)

    @property
    def cells(self) -> ChunkGrid:
        """The scale cut into what can be written on its own: chunks, or shards."""
        return ChunkGrid(self.scale.bounds, layout_of(self.scale).write_cell(self.scale))

    @property
    def shareable(self) -> bool:
        """Whether other processes see the same volume."""
        return self.location.protocol != "mem"

    @property
    def threads(self) -> int:
        """Threads of one process that are of use: for a codec that lets go of the interpreter's lock, or to wait."""
        if self.location.is_remote:
            return REQUESTS_AT_ONCE
        if array_codec(self.scale.encoding, self.scale.other).traits.releases_gil:
            return os.cpu_count() or 1
        return 1

    def store(self) -> Store:
        """The volume's objects, by way of the cache on disk if there is one."""
        store = open_store(self.location)
        return store if self.cache is None else CachedStore(store, self.cache)

    def chunks(self) -> ChunkStore:
        return open_chunks(self.store(), self.scale)

    def reader(self, recorder: Recorder | None = None, lru: ChunkLru | None = None) -> ChunkReader:
        """Reads the scale; chunks that are in ``lru`` from there."""
        reader = ChunkReader(
            self.chunks(),
            array_codec(self.scale.encoding, self.scale.other),
            self.voxel,
            ABSENT_IS_FILLED if self.fill_missing else ABSENT_IS_ERROR,
            self.background,
            recorder or Recorder(),
        )
        if lru is None or lru.size == 0:
            return reader
        return replace(reader, chunks=LruChunks(reader.chunks, lru, reader.unpack))

    def writer(self) -> ChunkWriter:
        """Writes the scale."""
        return ChunkWriter(
            self.chunks(),
            array_codec(self.scale.encoding, self.scale.other),
            byte_codec(
                self.compress,
                self.compress_level,
                self.voxel.layer_type,
                self.scale.encoding,
                self.voxel.dtype.itemsize,
            ),
            self.background,
            self.delete_background,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "location": secret_document(self.location),
            "voxel": asdict(self.voxel),
            "scale": scale_to_json(self.scale),
            "cache": None if self.cache is None else asdict(self.cache),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(
            **{name: value[name] for name in _PLAIN},
            location=read_secret_document(value["location"]),
            voxel=VoxelType(**value["voxel"]),
            scale=scale_from_json(value["scale"]),
            cache=None if value["cache"] is None else CacheSettings(**value["cache"]),
        )


def secret_document(location: Location) -> dict[str, Any]:
    """A location with its credentials, for another process of the same user and nobody else."""
    return {
        "url": location.url,
        "options": location.options.to_json(),
        "secrets": location.options.secrets,
    }


def read_secret_document(value: dict[str, Any]) -> Location:
    """The inverse of :func:`secret_document`."""
    return parse_location(value["url"], replace(StoreOptions.from_json(value["options"]), secrets=value["secrets"]))


_PLAIN = ("fill_missing", "background", "delete_background", "compress", "compress_level")
