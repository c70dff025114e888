"""The sample as volumes on disk."""

from __future__ import annotations

from dataclasses import dataclass

from cvbatch.codecs import array_codec, byte_codec
from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.errors import InputError
from cvbatch.formats.precomputed import open_chunks, read_info, write_info
from cvbatch.geometry import Vec
from cvbatch.metadata import ScaleInfo, VolumeInfo, VoxelType
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.sample.synthesis import synthesize
from cvbatch.storage import Location, open_store, parse_location

RESOLUTION = (8, 8, 40)
CHUNK_SIZE = Vec(64, 64, 64)


@dataclass(frozen=True)
class Sample:
    """The two volumes of a sample."""

    image: str
    segmentation: str


def write_sample(folder: str, size: Vec) -> Sample:
    """Write ``em`` (uint8 image) and ``seg`` (uint64 labels) of ``size`` voxels below a folder or URL.

    Raw chunks of 64³ with gzip. The same size gives the same bytes. Of a sample that is there coarser scales that were
    added stay. Raises :class:`InputError` where other volumes are there, which stay as they are.
    """
    home = parse_location(folder)
    image, segmentation = home.below("em"), home.below("seg")
    for place, voxel in ((image, IMAGE), (segmentation, SEGMENTATION)):
        found = read_info(open_store(place))
        wanted = _info(voxel, size)
        if found is not None and (found.voxel, found.scales[:1]) != (wanted.voxel, wanted.scales):
            raise InputError(f"another volume is at {place.url}; give the sample a folder of its own")
    em, seg = synthesize((size.x, size.y, size.z))
    _write(image, IMAGE, em[..., None])
    _write(segmentation, SEGMENTATION, seg[..., None])
    return Sample(image.url, segmentation.url)


IMAGE = VoxelType("image", "uint8", 1)
SEGMENTATION = VoxelType("segmentation", "uint64", 1)


def _info(voxel: VoxelType, size: Vec) -> VolumeInfo:
    scale = ScaleInfo("8_8_40", size, Vec.zeros(), RESOLUTION, (CHUNK_SIZE,), "raw")
    return VolumeInfo(voxel, (scale,), {"@type": "neuroglancer_multiscale_volume"})


def _write(place: Location, voxel: VoxelType, voxels: Voxels) -> None:
    """Chunks first, ``info`` last: a volume that can be opened is whole."""
    info = _info(voxel, Vec(*voxels.shape[:3]))
    store, scale, tally = open_store(place), info.scales[0], Tally()
    compression = byte_codec("gzip", None, voxel.layer_type, scale.encoding, voxel.dtype.itemsize)
    writer = ChunkWriter(open_chunks(store, scale), array_codec(scale.encoding, {}), compression)
    grid, cell = writer.chunks.grid, writer.chunks.cell(scale.bounds)
    for index in grid.indices(scale.bounds):
        writer.write(cell, index, voxels[grid.box(index).to_slices()], tally)
    cell.finish()
    if read_info(store) is None:
        write_info(store, info)
