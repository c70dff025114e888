"""Chunks that share files: ``<scale key>/<shard>.shard``."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cvbatch.codecs import byte_codec, decompress
from cvbatch.errors import DecodingError, InputError
from cvbatch.formats.precomputed.sharding.morton import MortonCode
from cvbatch.formats.precomputed.sharding.shard import (
    ENTRY_BYTES,
    LARGEST_INDEX,
    Minishard,
    decode_minishard,
    decode_shard,
    encode_shard,
    minishard_span,
)
from cvbatch.formats.precomputed.sharding.spec import ShardingSpec
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.lru import Lru
from cvbatch.metadata.volume import ScaleInfo
from cvbatch.storage import Blob, Buffer, Store

# Of minishards' indices, and of shards' indices, that stay in memory.
INDEX_CACHE_BYTES = 32 << 20
# Voxels of chunks that are read in one go: their bytes are in memory together.
GROUP_VOXELS = 4 << 20
# Bytes between two chunks that cost less to read than another request does.
JOINED_GAP = 16 << 10
# Nothing that a chunk decompresses to is larger.
LARGEST_CHUNK = 1 << 40
# Chunks outside of the scale that a minishard may have besides: the scale was larger once.
SPARE_INDEX_BYTES = 1 << 20
# A shard's index that is not larger is read as a whole, and serves for all its minishards.
SMALL_INDEX_BYTES = 64 << 10


def shards_are_boxes(scale: ScaleInfo) -> bool:
    """Whether the chunks of each shard are next to each other, and not spread over the volume by a hash."""
    assert scale.sharding is not None
    spec = ShardingSpec.from_json(scale.sharding)
    bits = len(MortonCode(ChunkGrid(scale.bounds, scale.chunk_size).shape).bits)
    # With too few bits, shards that are far from each other share a number.
    return spec.hash == "identity" and bits <= spec.preshift_bits + spec.minishard_bits + spec.shard_bits


class ShardedChunks:
    """The sharded layout: a shard is written as a whole. Indices are read once and kept."""

    def __init__(self, store: Store, scale: ScaleInfo) -> None:
        assert scale.sharding is not None
        self.grid = ChunkGrid(scale.bounds, scale.chunk_size)
        self._store = store
        self._scale_key = scale.key
        self.spec = ShardingSpec.from_json(scale.sharding)
        self._code = MortonCode(self.grid.shape)
        # A few bytes can claim gigabytes; no minishard has more chunks than the scale.
        self._most_index_bytes = min(LARGEST_INDEX, ENTRY_BYTES * self.grid.shape.product() + SPARE_INDEX_BYTES)
        self.cells = ChunkGrid(scale.bounds, self.write_cell(scale))
        self._indices: Lru[tuple[int, int | None], Minishard | bytes | None] = Lru(INDEX_CACHE_BYTES, _weight)

    @classmethod
    def write_cell(cls, scale: ScaleInfo) -> Vec:
        """The box of one shard, or all of the scale where the chunks of a shard are not together in one."""
        assert scale.sharding is not None
        spec, grid = ShardingSpec.from_json(scale.sharding), ChunkGrid(scale.bounds, scale.chunk_size)
        if not shards_are_boxes(scale):
            return grid.shape * scale.chunk_size
        block = MortonCode(grid.shape).block(spec.preshift_bits + spec.minishard_bits)
        return block.minimum(grid.shape) * scale.chunk_size

    def read(self, index: Vec) -> Blob | None:
        return self.read_group([index])[0]

    def groups(self, indices: Iterable[Vec]) -> list[list[Vec]]:
        """By minishard, whose chunks are next to each other in the file, as many as fit into :data:`GROUP_VOXELS`."""
        most = max(1, GROUP_VOXELS // self.grid.cell.product())
        groups: list[list[Vec]] = []
        latest: dict[tuple[int, int], list[Vec]] = {}
        for index in indices:
            place = self.spec.place(self._code.encode(index))
            group = latest.get(place)
            if group is None or len(group) == most:
                group = latest[place] = []
                groups.append(group)
            group.append(index)
        return groups

    def read_group(self, indices: Sequence[Vec]) -> list[Blob | None]:
        """With one request for chunks that are next to each other."""
        spans = {index: span for index in indices if (span := self._span(index)) is not None}
        found: dict[Vec, Blob] = {}
        for run in _joined(spans):
            first, last = spans[run[0]][0], max(spans[index][1] for index in run)
            with self._naming(run[0]):
                data = memoryview(self._range(self._shard_key(run[0]), first, last))
            for index in run:
                start, stop = spans[index]
                found[index] = Blob(data[start - first : stop - first], self.spec.content_encoding)
        return [found.get(index) for index in indices]

    def cell(self, box: Bbox) -> ShardCell:
        return ShardCell(self, box)

    def place(self, index: Vec) -> tuple[int, int]:
        """The id of a chunk, and the number of its shard."""
        chunk_id = self._code.encode(index)
        return chunk_id, self.spec.place(chunk_id)[0]

    def as_stored(self, blob: Blob) -> Buffer:
        """The bytes of a chunk with the compression that this scale's shards have."""
        if blob.encoding == self.spec.content_encoding:
            return blob.data
        data = decompress(blob.data, blob.encoding, LARGEST_CHUNK)
        return byte_codec("gzip", None, "image", "raw").compress(data) if self.spec.content_encoding else data

    def read_shard(self, number: int) -> dict[int, bytes]:
        """The chunks of a shard by id, as they are stored; none where it is absent."""
        key = self._file(number)
        blob = self._store.get(key)
        if blob is None:
            return {}
        try:
            return decode_shard(self.spec, blob.data, self._most_index_bytes)
        except DecodingError as error:
            raise DecodingError(f"{self._store.url}/{key} is damaged: {error}") from error

    def write_shard(self, number: int, chunks: Mapping[int, Buffer]) -> None:
        """Store a shard in place of what is there. One without chunks is removed."""
        key = self._file(number)
        if chunks:
            self._store.put(key, Blob(encode_shard(self.spec, chunks)))
        else:
            self._store.delete(key)
        self._indices.clear()

    def _file(self, number: int) -> str:
        return f"{self._scale_key}/{self.spec.filename(number)}"

    def exists(self, index: Vec) -> bool:
        return self._span(index) is not None

    def any(self) -> bool:
        return (
            next((key for key in self._store.list(f"{self._scale_key}/") if key.endswith(".shard")), None) is not None
        )

    def key(self, index: Vec) -> str:
        return f"{self._scale_key}/{self.grid.box(index).to_filename()}"

    def name(self, index: Vec) -> str:
        return f"{self._store.url}/{self._shard_key(index)}, chunk {self.grid.box(index).to_filename()},"

    def _shard_key(self, index: Vec) -> str:
        return self._file(self.place(index)[1])

    def _span(self, index: Vec) -> tuple[int, int] | None:
        """The bytes of a chunk in its shard, None where it is absent."""
        chunk_id = self._code.encode(index)
        place = self.spec.place(chunk_id)
        try:
            minishard = self._indices[place]
        except KeyError:
            with self._naming(index):
                minishard = self._indices[place] = self._read_minishard(self._shard_key(index), *place)
        return minishard.find(chunk_id) if isinstance(minishard, Minishard) else None

    @contextmanager
    def _naming(self, index: Vec) -> Iterator[None]:
        """Errors inside name shard and chunk."""
        try:
            yield
        except DecodingError as error:
            raise DecodingError(f"{self.name(index)} is damaged: {error}") from error

    def _read_minishard(self, key: str, shard: int, minishard: int) -> Minishard | None:
        """The index of a minishard, None where it has no chunks or there is no such shard."""
        entry = self._read_entry(key, shard, minishard)
        span = None if entry is None else minishard_span(self.spec, entry)
        if span is None:
            return None
        data = self._range(key, *span)
        found = decode_minishard(self.spec, data, self._most_index_bytes)
        outside = found.starts < self.spec.index_bytes
        inside_index = (found.starts < span[1]) & (found.stops > span[0])
        if outside.any() or inside_index.any():
            raise DecodingError("the minishard's index says that chunks lie where the indices are")
        return found

    def _read_entry(self, key: str, shard: int, minishard: int) -> bytes | None:
        """What the shard's index says of a minishard, None where there is no such shard."""
        start = 16 * minishard
        if self.spec.index_bytes > SMALL_INDEX_BYTES:
            return self._checked(self._store.get_range(key, start, start + 16), 16)
        try:
            whole = self._indices[shard, None]
        except KeyError:
            found = self._store.get_range(key, 0, self.spec.index_bytes)
            whole = self._indices[shard, None] = self._checked(found, self.spec.index_bytes)
        return whole[start : start + 16] if isinstance(whole, bytes) else None

    def _range(self, key: str, start: int, stop: int) -> bytes:
        data = self._checked(self._store.get_range(key, start, stop), stop - start)
        if data is None:
            raise DecodingError("the shard was removed while it was read")
        return data

    @staticmethod
    def _checked(data: bytes | None, nbytes: int) -> bytes | None:
        """The bytes, if they are as many as were asked for."""
        if data is not None and len(data) != nbytes:
            raise DecodingError(f"the shard is cut short: {nbytes} bytes were asked for, {len(data)} are there")
        return data


@dataclass
class _Shard:
    """A shard in the making: the chunks that were announced, those still to come, and the bytes of those that came."""

    announced: set[int] = field(default_factory=set)
    awaited: set[int] = field(default_factory=set)
    chunks: dict[int, Buffer] = field(default_factory=dict)


class ShardCell:
    """Writes the shards of a box. Each is stored when its last chunk has come, and held in memory until then.

    Chunks of a shard that are outside of the box stay as they are.
    """

    def __init__(self, chunks: ShardedChunks, box: Bbox) -> None:
        self._chunks = chunks
        self._whole = chunks.cells.is_aligned(box)
        self._shards: dict[int, _Shard] = {}
        self._lock = threading.Lock()
        for index in chunks.grid.indices(box):
            chunk_id, number = chunks.place(index)
            shard = self._shards.setdefault(number, _Shard())
            shard.announced.add(chunk_id)
            shard.awaited.add(chunk_id)

    def write(self, index: Vec, blob: Blob) -> None:
        self._take(index, self._chunks.as_stored(blob))

    def delete(self, indices: Sequence[Vec]) -> None:
        for index in indices:
            self._take(index, None)

    def _take(self, index: Vec, data: Buffer | None) -> None:
        chunk_id, number = self._chunks.place(index)
        with self._lock:
            shard = self._shards[number]
            shard.awaited.remove(chunk_id)
            if data is not None:
                # A copy: the caller's buffer may be used again before the shard is whole.
                shard.chunks[chunk_id] = bytes(data)
            if shard.awaited:
                return
            del self._shards[number]
        if not self._whole:
            there = self._chunks.read_shard(number)
            shard.chunks |= {each: data for each, data in there.items() if each not in shard.announced}
        self._chunks.write_shard(number, shard.chunks)

    def finish(self) -> None:
        if self._shards:
            missing = sum(len(shard.awaited) for shard in self._shards.values())
            raise InputError(f"{missing} chunks of {len(self._shards)} shards were not written")


def _joined(spans: Mapping[Vec, tuple[int, int]]) -> list[list[Vec]]:
    """The chunks of one shard by place, together where little is between them."""
    runs: list[list[Vec]] = []
    end = -1
    for index in sorted(spans, key=spans.__getitem__):
        start, stop = spans[index]
        if runs and start - end <= JOINED_GAP:
            runs[-1].append(index)
        else:
            runs.append([index])
        end = max(end, stop)
    return runs


def _weight(value: Minishard | bytes | None) -> int:
    """What an index takes, and the entry itself."""
    if isinstance(value, Minishard):
        return value.nbytes + 200
    return len(value or b"") + 100
