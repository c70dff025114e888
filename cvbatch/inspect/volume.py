"""What a volume is, for people and programs."""

from __future__ import annotations

from typing import Any

from cvbatch.codecs import parameters_of
from cvbatch.formats.precomputed import layout_of, objects_in, open_chunks, read_provenance, require_info
from cvbatch.formats.precomputed.sharding import ShardingSpec, shards_are_boxes
from cvbatch.geometry import ChunkGrid, ceil_div
from cvbatch.metadata import ScaleInfo, VoxelType
from cvbatch.storage import Location, Store, open_store


def describe_volume(location: Location) -> dict[str, Any]:
    """All that ``info`` and ``provenance`` say of a volume, and what follows from it.

    Sizes in voxels, resolutions in nm. ``stored`` says of the chunk in the middle of each scale how large it is and
    what it is compressed with, as a sample; None where it is absent.
    """
    store = open_store(location)
    info = require_info(store)
    return {
        "path": location.url,
        "type": info.voxel.layer_type,
        "data_type": info.voxel.data_type,
        "num_channels": info.voxel.channels,
        "scales": [
            {**describe_scale(scale, mip, info.voxel), "stored": _stored(store, scale)}
            for mip, scale in enumerate(info.scales)
        ],
        "voxel_bytes": sum(scale.size.product() for scale in info.scales) * info.voxel.nbytes,
        "other": info.other,
        "provenance": read_provenance(store),
    }


def _stored(store: Store, scale: ScaleInfo) -> dict[str, Any] | None:
    chunks = open_chunks(store, scale)
    index = (scale.size // 2) // scale.chunk_size
    blob = chunks.read(index)
    if blob is None:
        return None
    return {"chunk": chunks.key(index), "compress": blob.encoding or "none", "bytes": len(blob.data)}


def describe_scale(scale: ScaleInfo, mip: int, voxel: VoxelType) -> dict[str, Any]:
    """One mip level. ``voxel_bytes`` is its size uncompressed, ``objects`` the files that it takes if it is full."""
    return {
        "mip": mip,
        "key": scale.key,
        "size": list(scale.size),
        "voxel_offset": list(scale.voxel_offset),
        "resolution": list(scale.resolution),
        "chunk_size": list(scale.chunk_size),
        "encoding": scale.encoding,
        "parameters": parameters_of(scale.encoding, scale.other),
        "sharded": scale.sharding is not None,
        "sharding": describe_sharding(scale, voxel),
        "chunks": len(ChunkGrid(scale.bounds, scale.chunk_size)),
        "objects": objects_in(scale, scale.bounds),
        "voxel_bytes": scale.size.product() * voxel.nbytes,
    }


def describe_sharding(scale: ScaleInfo, voxel: VoxelType) -> dict[str, Any] | None:
    """The shards of a scale, None where each chunk is a file of its own.

    ``shards`` is how many there are in a full volume. ``shape`` is the box of one in voxels, None where the chunks of a
    shard are spread over the volume; ``chunks`` and ``voxel_bytes`` are those of a full one.
    """
    if scale.sharding is None:
        return None
    spec = ShardingSpec.from_json(scale.sharding)
    shards = objects_in(scale, scale.bounds)
    cell = layout_of(scale).write_cell(scale)
    chunks = ceil_div(cell, scale.chunk_size).product()
    together = shards_are_boxes(scale)
    spread = -(-len(ChunkGrid(scale.bounds, scale.chunk_size)) // shards)
    return {
        **spec.to_json(),
        "shards": shards,
        "shape": list(cell) if together else None,
        "chunks": chunks if together else spread,
        "voxel_bytes": (chunks if together else spread) * scale.chunk_size.product() * voxel.nbytes,
    }
