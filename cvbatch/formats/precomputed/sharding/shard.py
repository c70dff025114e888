"""The bytes of a shard: an index of minishards, and for each of them an index of chunks.

Specification: google/neuroglancer, src/datasource/precomputed/sharded.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cvbatch.codecs import byte_codec, decompress
from cvbatch.errors import DecodingError
from cvbatch.formats.precomputed.sharding.spec import ShardingSpec
from cvbatch.storage import Buffer

ROW = 3
ENTRY_BYTES = 24
# No file is larger, and sums of such numbers stay below 2**63.
LARGEST_OFFSET = 1 << 50
LARGEST_INDEX = 1 << 30


@dataclass(frozen=True)
class Minishard:
    """Where the chunks of a minishard are: ``ids`` in rising order, bytes [``starts``, ``stops``) of the file."""

    ids: NDArray[np.uint64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        return 3 * self.ids.nbytes

    def find(self, chunk_id: int) -> tuple[int, int] | None:
        """The bytes of a chunk, None where it is not in the shard."""
        place = int(np.searchsorted(self.ids, np.uint64(chunk_id)))
        if place == len(self.ids) or int(self.ids[place]) != chunk_id:
            return None
        return int(self.starts[place]), int(self.stops[place])


def minishard_span(spec: ShardingSpec, entry: bytes) -> tuple[int, int] | None:
    """The bytes of a minishard's index, from its 16 bytes of the shard's; None where it has no chunks.

    Raises :class:`DecodingError` for what can't be.
    """
    start, stop = (int.from_bytes(entry[place : place + 8], "little") for place in (0, 8))
    if start == stop:
        return None
    if not start < stop <= LARGEST_OFFSET or stop - start > LARGEST_INDEX:
        raise DecodingError(f"the shard's index says that a minishard's index is at bytes {start} to {stop}")
    return spec.index_bytes + start, spec.index_bytes + stop


def decode_minishard(spec: ShardingSpec, data: Buffer, most_bytes: int = LARGEST_INDEX) -> Minishard:
    """The index of a minishard. Raises :class:`DecodingError` for one that makes no sense, or is larger."""
    encoding = "gzip" if spec.minishard_index_encoding == "gzip" else ""
    raw = bytes(decompress(data, encoding, most_bytes))
    if len(raw) % ENTRY_BYTES != 0:
        raise DecodingError(f"the minishard's index has {len(raw)} bytes, which is no multiple of {ENTRY_BYTES}")
    deltas = np.frombuffer(raw, "<u8").reshape((ROW, -1))
    ids = np.cumsum(deltas[0], dtype=np.uint64)
    if np.any(ids[1:] <= ids[:-1]):
        raise DecodingError("the minishard's index names chunks twice, or not in order")
    if np.any(deltas[1:] > LARGEST_OFFSET) or deltas[1:].astype(float).sum() > LARGEST_OFFSET:
        raise DecodingError("the minishard's index points outside of any file")
    gaps, sizes = deltas[1].astype(np.int64), deltas[2].astype(np.int64)
    starts = spec.index_bytes + np.cumsum(gaps) + np.cumsum(sizes) - sizes
    return Minishard(ids, starts, starts + sizes)


def decode_shard(spec: ShardingSpec, data: Buffer, most_bytes: int = LARGEST_INDEX) -> dict[int, bytes]:
    """All chunks of a shard by id, as they are stored; no index of a minishard has more than ``most_bytes``.

    Raises :class:`DecodingError`.
    """
    raw = bytes(data)
    spans: dict[int, tuple[int, int]] = {}
    if len(raw) < spec.index_bytes:
        raise DecodingError(f"the shard is cut short: it has {len(raw)} bytes, its index {spec.index_bytes}")
    for start in range(0, spec.index_bytes, 16):
        span = minishard_span(spec, raw[start : start + 16])
        if span is None:
            continue
        minishard = decode_minishard(spec, _part(raw, *span), most_bytes)
        found = zip(minishard.ids.tolist(), minishard.starts.tolist(), minishard.stops.tolist(), strict=True)
        spans |= {chunk_id: (first, last) for chunk_id, first, last in found}
    for (_, before), (after, _) in pairwise(sorted(span for span in spans.values() if span[0] < span[1])):
        if after < before:
            raise DecodingError(f"chunks overlap in the shard: one ends at byte {before}, the next begins at {after}")
    return {chunk_id: _part(raw, *span) for chunk_id, span in spans.items()}


def _part(raw: bytes, start: int, stop: int) -> bytes:
    if not 0 <= start <= stop <= len(raw):
        raise DecodingError(f"the shard is cut short: it has {len(raw)} bytes, and should have {stop}")
    return raw[start:stop]


def encode_shard(spec: ShardingSpec, chunks: Mapping[int, Buffer]) -> bytes:
    """The file of a shard from its encoded chunks by id. The same chunks give the same bytes.

    Data comes first, minishard by minishard, each in the order of ids; then the minishards' indices.
    """
    zipped = spec.minishard_index_encoding == "gzip"
    compress = (byte_codec("gzip", 6, "image", "raw") if zipped else byte_codec("none", None, "image", "raw")).compress
    by_minishard: dict[int, list[int]] = {}
    for chunk_id in sorted(chunks):
        by_minishard.setdefault(spec.place(chunk_id)[1], []).append(chunk_id)
    parts: list[Buffer] = []
    position = 0
    indices: dict[int, bytes] = {}
    for minishard in sorted(by_minishard):
        ids = by_minishard[minishard]
        sizes = [len(chunks[chunk_id]) for chunk_id in ids]
        steps = [ids[0], *(b - a for a, b in pairwise(ids))]
        gaps = [position, *[0] * (len(ids) - 1)]
        indices[minishard] = bytes(compress(np.array([steps, gaps, sizes], "<u8").tobytes()))
        parts += [chunks[chunk_id] for chunk_id in ids]
        position += sum(sizes)
    spans = np.zeros((spec.minishards, 2), "<u8")
    for minishard, index in indices.items():
        spans[minishard] = position, position + len(index)
        parts.append(index)
        position += len(index)
    return b"".join([spans.tobytes(), *parts])
