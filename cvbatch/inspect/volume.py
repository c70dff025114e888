"""What a volume is, for people and programs."""

from __future__ import annotations

from typing import Any

from cvbatch.codecs import parameters_of
from cvbatch.errors import InfoUnavailableError
from cvbatch.formats.precomputed import read_info
from cvbatch.geometry import ChunkGrid
from cvbatch.metadata import ScaleInfo, VoxelType
from cvbatch.storage import open_store, parse_location


def describe_volume(url: str) -> dict[str, Any]:
    """All that ``info`` says of a volume, and what follows from it. Sizes in voxels, resolutions in nm."""
    location = parse_location(url)
    info = read_info(open_store(location))
    if info is None:
        raise InfoUnavailableError(f"no volume at {location.url}: there is no file {location.url}/info")
    return {
        "path": location.url,
        "type": info.voxel.layer_type,
        "data_type": info.voxel.data_type,
        "num_channels": info.voxel.channels,
        "scales": [describe_scale(scale, mip, info.voxel) for mip, scale in enumerate(info.scales)],
        "other": info.other,
    }


def describe_scale(scale: ScaleInfo, mip: int, voxel: VoxelType) -> dict[str, Any]:
    """One mip level. ``voxel_bytes`` is its size uncompressed."""
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
        "chunks": len(ChunkGrid(scale.bounds, scale.chunk_size)),
        "voxel_bytes": scale.size.product() * voxel.nbytes,
    }
