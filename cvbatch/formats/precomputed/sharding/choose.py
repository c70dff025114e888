"""A sharding specification that suits a volume."""

from __future__ import annotations

from cvbatch.formats.precomputed.sharding.morton import MortonCode
from cvbatch.formats.precomputed.sharding.spec import ShardingSpec
from cvbatch.geometry import ChunkGrid
from cvbatch.metadata.volume import ScaleInfo

# Voxel bytes of a shard: encoded it is smaller by what the encoding saves. It is in a worker's memory as a whole.
TARGET_BYTES = 256 << 20
# Small volumes get this many shards, so that all processes have work, unless shards would be smaller than this.
ENOUGH_SHARDS = 8
LEAST_BYTES = 32 << 20
# Chunks that share a minishard: their index, which is read for one chunk, has 24 bytes for each.
MINISHARD_BITS = 8


def choose_sharding(
    scale: ScaleInfo, voxel_bytes: int, data_encoding: str, target_bytes: int = TARGET_BYTES
) -> ShardingSpec:
    """Shards that are boxes of about ``target_bytes`` of voxels, with small indices.

    ``data_encoding`` is raw or gzip.
    """
    total = len(MortonCode(ChunkGrid(scale.bounds, scale.chunk_size).shape).bits)
    chunk_bytes = scale.chunk_size.product() * voxel_bytes
    in_a_shard = min(total, max(0, (target_bytes // chunk_bytes).bit_length() - 1))
    while in_a_shard > 0 and total - in_a_shard < ENOUGH_SHARDS.bit_length() - 1:
        if chunk_bytes << in_a_shard <= LEAST_BYTES:
            break
        in_a_shard -= 1
    preshift = min(in_a_shard, MINISHARD_BITS)
    return ShardingSpec(
        preshift_bits=preshift,
        minishard_bits=in_a_shard - preshift,
        shard_bits=total - in_a_shard,
        minishard_index_encoding="gzip",
        data_encoding=data_encoding,
    )
