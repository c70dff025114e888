"""The ``sharding`` member of a scale.

Specification: google/neuroglancer, src/datasource/precomputed/sharded.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cvbatch.errors import UnsupportedFormatError
from cvbatch.formats.precomputed.sharding.murmur import murmurhash3

TYPE = "neuroglancer_uint64_sharded_v1"
HASHES = ("identity", "murmurhash3_x86_128")
ENCODINGS = ("raw", "gzip")
BITS = ("preshift_bits", "minishard_bits", "shard_bits")
# Each minishard has 16 bytes in the index of every shard, which is held in memory.
MOST_MINISHARD_BITS = 24


@dataclass(frozen=True)
class ShardingSpec:
    """How chunks are spread over shards, and over the minishards of each shard."""

    preshift_bits: int
    minishard_bits: int
    shard_bits: int
    hash: str = "identity"
    minishard_index_encoding: str = "raw"
    data_encoding: str = "raw"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From the member of a scale. Raises :class:`UnsupportedFormatError` that names what is wrong."""
        if value.get("@type") != TYPE:
            raise UnsupportedFormatError(f"sharding @type is {value.get('@type')!r}, not {TYPE!r}")
        for name in BITS:
            if type(value.get(name)) is not int or not 0 <= value[name] <= 64:
                raise UnsupportedFormatError(f"sharding.{name} is {value.get(name)!r}, not a number from 0 to 64")
        if value["minishard_bits"] > MOST_MINISHARD_BITS:
            raise UnsupportedFormatError(
                f"sharding.minishard_bits is {value['minishard_bits']}; more than {MOST_MINISHARD_BITS} need an index "
                "of gigabytes in every shard"
            )
        if value["minishard_bits"] + value["shard_bits"] > 64:
            raise UnsupportedFormatError("sharding.minishard_bits and shard_bits are more than 64 together")
        for name, known in (("hash", HASHES), ("minishard_index_encoding", ENCODINGS), ("data_encoding", ENCODINGS)):
            if value.get(name, known[0]) not in known:
                raise UnsupportedFormatError(f"sharding.{name} is {value[name]!r}, not {' or '.join(known)}")
        return cls(
            preshift_bits=value["preshift_bits"],
            minishard_bits=value["minishard_bits"],
            shard_bits=value["shard_bits"],
            hash=value.get("hash", "identity"),
            minishard_index_encoding=value.get("minishard_index_encoding", "raw"),
            data_encoding=value.get("data_encoding", "raw"),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "@type": TYPE,
            "preshift_bits": self.preshift_bits,
            "hash": self.hash,
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": self.minishard_index_encoding,
            "data_encoding": self.data_encoding,
        }

    @property
    def content_encoding(self) -> str:
        """What chunks are compressed with in a shard, as a Blob says it."""
        return "gzip" if self.data_encoding == "gzip" else ""

    @property
    def minishards(self) -> int:
        """Minishards of a shard."""
        return 1 << self.minishard_bits

    @property
    def index_bytes(self) -> int:
        """Bytes of the index with which a shard begins."""
        return 16 * self.minishards

    def place(self, chunk_id: int) -> tuple[int, int]:
        """The shard of a chunk, and the minishard in it."""
        shifted = chunk_id >> self.preshift_bits
        hashed = murmurhash3(shifted) if self.hash == "murmurhash3_x86_128" else shifted
        shard = hashed >> self.minishard_bits & ((1 << self.shard_bits) - 1)
        return shard, hashed & (self.minishards - 1)

    def filename(self, shard: int) -> str:
        """The name of a shard's file within the scale's folder."""
        digits = -(-self.shard_bits // 4)
        # Without shard bits there is one shard, and no digit is needed to tell it; readers look for "0.shard".
        return f"{shard:0{max(digits, 1)}x}.shard"
