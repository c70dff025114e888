"""Chunks that share files: the format ``neuroglancer_uint64_sharded_v1``."""

from cvbatch.formats.precomputed.sharding.choose import TARGET_BYTES, choose_sharding
from cvbatch.formats.precomputed.sharding.chunks import ShardedChunks, shards_are_boxes
from cvbatch.formats.precomputed.sharding.shard import encode_shard
from cvbatch.formats.precomputed.sharding.spec import ShardingSpec

__all__ = ["TARGET_BYTES", "ShardedChunks", "ShardingSpec", "choose_sharding", "encode_shard", "shards_are_boxes"]
