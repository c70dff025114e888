"""Small volumes for tests, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cvbatch.codecs import array_codec, byte_codec
from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.formats.precomputed import open_chunks, read_info, write_info
from cvbatch.geometry import Vec
from cvbatch.metadata import ScaleInfo, VolumeInfo, VoxelType
from cvbatch.pipeline.reader import ChunkReader
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.storage import Store, open_store


def make_scale(size: tuple[int, ...], **members: Any) -> ScaleInfo:
    """A scale of ``size`` voxels; ``members`` replace the defaults."""
    resolution = members.get("resolution", (4, 4, 40))
    defaults = {
        "key": "_".join(map(str, resolution)),
        "voxel_offset": (0, 0, 0),
        "resolution": resolution,
        "chunk_size": (16, 16, 8),
        "encoding": "raw",
        "other": {},
    }
    values = {**defaults, **members}
    return ScaleInfo(
        key=values["key"],
        size=Vec(*size),
        voxel_offset=Vec(*values["voxel_offset"]),
        resolution=tuple(values["resolution"]),
        chunk_sizes=(Vec(*values["chunk_size"]),),
        encoding=values["encoding"],
        other=values["other"],
    )


def write_volume(url: str, voxels: Voxels, layer_type: str = "image", compress: str = "gzip", **members: Any) -> Store:
    """A volume of one scale with the voxels (x, y, z) or (x, y, z, channel)."""
    voxels = voxels.reshape((*voxels.shape, 1)) if voxels.ndim == 3 else voxels
    scale = make_scale(voxels.shape[:3], **members)
    voxel = VoxelType(layer_type, str(voxels.dtype), voxels.shape[3])
    store = open_store(url)
    compression = byte_codec(compress, None, layer_type, scale.encoding)
    writer = ChunkWriter(open_chunks(store, scale), array_codec(scale.encoding, scale.other), compression)
    cell = writer.chunks.cell(scale.bounds)
    for index in writer.chunks.grid.indices(scale.bounds):
        box = writer.chunks.grid.box(index) - scale.voxel_offset
        writer.write(cell, index, voxels[box.to_slices()], Tally())
    cell.finish()
    write_info(store, VolumeInfo(voxel, (scale,)))
    return store


def read_volume(url: str, mip: int = 0, missing: str = "error") -> Voxels:
    """All voxels (x, y, z, channel) of a mip."""
    store = open_store(url)
    info = read_info(store)
    assert info is not None
    scale = info.scale(mip)
    codec = array_codec(scale.encoding, scale.other)
    reader = ChunkReader(open_chunks(store, scale), codec, info.voxel, missing)
    voxels = np.empty((*scale.size, info.voxel.channels), info.voxel.dtype, order="F")
    tally = Tally()
    for index in reader.chunks.grid.indices(scale.bounds):
        reader.paint(index, reader.fetch(index, tally), voxels, scale.bounds, tally)
    return voxels


def read_scale(url: str, mip: int = 0) -> ScaleInfo:
    """One scale of the ``info`` at a URL."""
    info = read_info(open_store(url))
    assert info is not None
    return info.scale(mip)


def files(folder: Path) -> dict[str, bytes]:
    """The files below a folder but for state and locks, by relative path."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items()) if not name.startswith(".cvbatch")}


def noise(size: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> Voxels:
    """Voxels of which no two chunks are alike."""
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return np.asfortranarray(rng.normal(size=size).astype(np.float32))
    return np.asfortranarray(rng.integers(1, 200, size).astype(dtype))


def labels(size: tuple[int, int, int], dtype: str = "uint64", seed: int = 0) -> Voxels:
    """Blocks of labels, as a segmentation has them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 50, [-(-n // 5) for n in size]) * 0x1_0000_0007
    return np.asfortranarray(np.kron(coarse, np.ones((5, 5, 5), int))[: size[0], : size[1], : size[2]].astype(dtype))
