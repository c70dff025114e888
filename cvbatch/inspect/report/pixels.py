"""From voxels to pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbatch.codecs.base import Voxels
from cvbatch.errors import CvbatchError, EmptyVolumeException
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.storage import Location
from cvbatch.volume import CloudVolume

# Where not all can be read at once, it is read in tiles of at least so many voxels on a side.
TILE = 32
# Of a hundred voxels, how many are black, and how many white.
CLIPPED = 0.5
COLORS = 64
# Spreads neighbouring labels over all colours: 2^64 divided by the golden ratio, as in Knuth's multiplicative hashing.
SPREAD = 0x9E3779B97F4A7C15

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Section:
    """The voxels (x, y, channel) of one section, which of them (x, y) could be read, and why others could not."""

    voxels: Voxels
    readable: NDArray[np.bool_]
    problem: str = ""


def read_section(location: Location, mip: int, box: Bbox, background: int | None) -> Section:
    """The voxels of a box that is one voxel deep; absent chunks are ``background``, or a hole where that is None."""
    options = location.options
    volume = CloudVolume(
        location.url,
        mip=mip,
        fill_missing=background is not None,
        background_color=background or 0,
        progress=False,
        secrets=options.secrets or None,
        endpoint=options.endpoint,
        region_name=options.region_name,
        anonymous=options.anonymous,
        request_payer=options.request_payer,
        use_https=options.use_https,
    )
    try:
        voxels = np.asarray(volume[box.to_slices()])[:, :, 0]
        return Section(voxels, np.ones(voxels.shape[:2], np.bool_))
    except CvbatchError as error:
        return _in_tiles(volume, box, error)


def _in_tiles(volume: CloudVolume, box: Bbox, first: CvbatchError) -> Section:
    """What of a box can be read."""
    voxels = np.zeros((box.dx, box.dy, volume.num_channels), volume.dtype, order="F")
    readable = np.zeros((box.dx, box.dy), np.bool_)
    for tile in _tiles(volume, box):
        part = (tile - box.minpt).to_slices()[:2]
        try:
            voxels[part] = np.asarray(volume[tile.to_slices()])[:, :, 0]
        except CvbatchError:
            continue
        readable[part] = True
    # What the message advises besides is for whoever reads volumes, not for who looks at them.
    problem = str(first).partition(";")[0] if isinstance(first, EmptyVolumeException) else str(first)
    return Section(voxels, readable, problem)


def _tiles(volume: CloudVolume, box: Bbox) -> Iterator[Bbox]:
    """The parts of a box that are in the same chunk, or in the same few small ones."""
    chunk, bounds = Vec(*map(int, volume.chunk_size)), volume.bounds
    cell = Vec(*(-(-TILE // n) * n for n in chunk[:2]), chunk.z)
    grid = ChunkGrid(Bbox(tuple(map(int, bounds.minpt)), tuple(map(int, bounds.maxpt))), cell)
    return (grid.box(index).intersection(box) for index in grid.indices(box))


def grey_range(section: Section) -> Range | None:
    """Between which values nearly all voxels are, None where there are none."""
    values = section.voxels[section.readable].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.percentile(values, (CLIPPED, 100 - CLIPPED)).tolist()
    return (low, high) if low < high else (low - 1, low + 1)


def encode_png(section: Section, grey: Range | None) -> bytes:
    """Grey values of an image (three channels are red, green and blue), colours of labels; holes are transparent."""
    import imagecodecs

    pixels = _labels(section.voxels[..., 0]) if grey is None else _greys(section.voxels, grey)
    if not section.readable.all():
        colors = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        pixels = np.dstack((colors, section.readable.astype(np.uint8) * 255))
    rows = np.ascontiguousarray(pixels.swapaxes(0, 1))
    rows = rows[..., 0] if rows.shape[2] == 1 else rows
    # Room enough for narrow pictures of noise, for which imagecodecs makes too little.
    return bytes(imagecodecs.png_encode(rows, level=9, out=2 * rows.nbytes + rows.shape[0] + 4096))


def _greys(voxels: Voxels, grey: Range) -> NDArray[np.uint8]:
    """Pixels (x, y, 1 or 3)."""
    low, high = grey
    shown = voxels[..., :3] if voxels.shape[2] == 3 else voxels[..., :1]
    scaled = (np.nan_to_num(shown.astype(np.float64), nan=low) - low) * (255 / (high - low))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _labels(voxels: Voxels) -> NDArray[np.uint8]:
    """Pixels (x, y, 3) with a colour for each label; 0 is nearly black."""
    with np.errstate(over="ignore"):
        hashed = voxels.astype(np.uint64) * np.uint64(SPREAD)
    pixels = _palette()[(hashed >> np.uint64(48)).astype(np.int64) % COLORS]
    pixels[voxels == 0] = 24
    return pixels


def _palette() -> NDArray[np.uint8]:
    """Colours (n, 3) around the circle, in four kinds of lightness."""
    turns = (np.arange(COLORS) * 0.618034) % 1
    value = 0.6 + 0.1 * (np.arange(COLORS) % 5)
    hue = np.stack([np.clip(np.abs((turns + shift) % 1 * 6 - 3) - 1, 0, 1) for shift in (0, 2 / 3, 1 / 3)], axis=-1)
    colors: NDArray[np.uint8] = (255 * value[:, None] * (1 - 0.65 * (1 - hue))).astype(np.uint8)
    return colors
