"""What an opened volume says of itself."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cvbatch.geometry import Bbox, Vec
from cvbatch.metadata.volume import format_resolution
from cvbatch.volume.context import Context
from cvbatch.volume.metadata import Document, Metadata, Provenance
from cvbatch.volume.selection import Key, as_box


class Option:
    """An attribute of a volume that is one of its :class:`Options`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, volume: Described | None, owner: type) -> Any:
        return self if volume is None else getattr(volume._context.options, self._name)

    def __set__(self, volume: Described, value: Any) -> None:
        volume._context.set_options(**{self._name: value})


class OfScale:
    """An attribute of the working mip, taken from :class:`Metadata`."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, volume: Described | None, owner: type) -> Any:
        return self if volume is None else getattr(volume.meta, self._name)(volume.mip)


class Described:
    """The options, documents and coordinates of a volume; ``mip_*`` are the twins for any mip."""

    _context: Context

    bounded = Option()
    autocrop = Option()
    fill_missing = Option()
    background_color = Option()
    delete_black_uploads = Option()
    non_aligned_writes = Option()
    parallel = Option()
    compress = Option()
    compress_level = Option()
    cdn_cache = Option()
    progress = Option()
    green_threads = Option()

    key = OfScale("The folder of the working mip.")
    encoding = OfScale("How chunks are encoded, such as ``raw`` or ``jpeg``.")
    resolution = OfScale("Nanometres a voxel.")
    volume_size = OfScale("Voxels along x, y, z.")
    voxel_offset = OfScale("The first voxel.")
    chunk_size = OfScale("Voxels of a chunk along x, y, z.")
    underlying = OfScale("The same as ``chunk_size``.")
    bounds = OfScale("The box of all voxels.")
    downsample_ratio = OfScale("Voxels of mip 0 for one of the working mip, along each axis.")
    shape = OfScale("Voxels along x, y, z, and channels.")
    ndim = OfScale("Axes: always 4.")
    compressed_segmentation_block_size = OfScale("Voxels of a block of that encoding, None for others.")

    # What it is

    @property
    def meta(self) -> Metadata:
        """The documents of the volume, with methods that take a mip."""
        return self._context.meta

    @property
    def mip(self) -> int:
        """The working mip; it is set to an index or a resolution."""
        return self._context.mip

    @mip.setter
    def mip(self, value: int | Sequence[float]) -> None:
        self._context.mip = self.meta.to_mip(value)

    @property
    def cloudpath(self) -> str:
        return self.meta.location.url

    layer_cloudpath = cloudpath

    @property
    def base_cloudpath(self) -> str:
        """The path of the folder in which the volume's folder is."""
        return self.cloudpath.rpartition("/")[0]

    @property
    def info_cloudpath(self) -> str:
        return f"{self.cloudpath}/info"

    @property
    def layerpath(self) -> str:
        """The path without protocol."""
        return self.meta.location.path

    @property
    def basepath(self) -> str:
        return self.layerpath.rpartition("/")[0]

    @property
    def layer(self) -> str:
        """The last part of the path."""
        return self.layerpath.rpartition("/")[2]

    @property
    def dataset_name(self) -> str:
        """The part of the path before the last."""
        return self.basepath.rpartition("/")[2]

    @property
    def info(self) -> Document:
        """The ``info`` document, to be changed and committed."""
        return self.meta.info

    @info.setter
    def info(self, value: Document) -> None:
        self.meta.info = value

    @property
    def provenance(self) -> Provenance:
        """The ``provenance`` document, to be changed and committed. It is set to a dict or JSON."""
        return self.meta.provenance

    @provenance.setter
    def provenance(self, value: str | Mapping[str, Any]) -> None:
        self.meta.provenance = Provenance.of(value)

    @property
    def scales(self) -> list[Document]:
        return self.meta.scales

    @scales.setter
    def scales(self, value: list[Document]) -> None:
        self.info["scales"] = value

    @property
    def scale(self) -> Document:
        """The working mip's part of ``info``."""
        return self.meta.scale(self.mip)

    @scale.setter
    def scale(self, value: Document) -> None:
        self.scales[self.mip] = value

    @property
    def layer_type(self) -> str:
        """``image`` or ``segmentation``."""
        return str(self.info["type"])

    @property
    def num_channels(self) -> int:
        return int(self.info["num_channels"])

    @property
    def data_type(self) -> str:
        return str(self.info["data_type"])

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.data_type)

    @property
    def available_mips(self) -> range:
        return range(len(self.scales))

    @property
    def available_resolutions(self) -> Iterator[Vec]:
        """Nanometres a voxel, for each mip."""
        return (self.meta.resolution(mip) for mip in self.available_mips)

    def mip_scale(self, mip: int) -> Document:
        return self.meta.scale(mip)

    def mip_key(self, mip: int) -> str:
        return self.meta.key(mip)

    def mip_encoding(self, mip: int) -> str:
        return self.meta.encoding(mip)

    def mip_resolution(self, mip: int) -> Vec:
        return self.meta.resolution(mip)

    def mip_volume_size(self, mip: int) -> Vec:
        return self.meta.volume_size(mip)

    def mip_voxel_offset(self, mip: int) -> Vec:
        return self.meta.voxel_offset(mip)

    def mip_chunk_size(self, mip: int) -> Vec:
        return self.meta.chunk_size(mip)

    mip_underlying = mip_chunk_size

    def mip_bounds(self, mip: int) -> Bbox:
        return self.meta.bounds(mip)

    def mip_shape(self, mip: int) -> tuple[int, ...]:
        return self.meta.shape(mip)

    def mip_ndim(self, mip: int) -> int:
        return self.meta.ndim(mip)

    def mip_downsample_ratio(self, mip: int) -> Vec:
        return self.meta.downsample_ratio(mip)

    def mip_compressed_segmentation_block_size(self, mip: int) -> tuple[int, ...] | None:
        return self.meta.compressed_segmentation_block_size(mip)

    # Documents

    def refresh_info(self) -> Document:
        """Read ``info`` again, and forget changes that were not committed."""
        self.meta.refresh()
        return self.info

    def commit_info(self) -> None:
        """Store ``info``. Raises :class:`~cvbatch.errors.InfoUnavailableError` for one that makes no sense."""
        self.meta.commit()

    def refresh_provenance(self) -> Provenance:
        """Read ``provenance`` again, and forget changes that were not committed."""
        self.meta.refresh_provenance()
        return self.provenance

    def commit_provenance(self) -> None:
        """Store ``provenance``."""
        self.meta.commit_provenance()

    def add_scale(
        self,
        factor: Sequence[int],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Document | None = None,
    ) -> Document:
        """Add the scale ``factor`` times coarser than mip 0 to ``info``. Not committed."""
        return self.meta.add_scale(factor, encoding, chunk_size, info)

    def reset_scales(self) -> None:
        """Keep mip 0 only in ``info``. Not committed."""
        self.meta.reset_scales()

    # Coordinates

    def bbox_to_mip(self, bbox: Key, mip: int, to_mip: int) -> Bbox:
        """The box at another mip that holds all voxels of this one."""
        box = bbox if isinstance(bbox, Bbox) else as_box(bbox, self._context.extent(self.meta.to_mip(mip)).unlimited())
        return self.meta.bbox_to_mip(box, mip, to_mip)

    def point_to_mip(self, pt: Sequence[float], mip: int, to_mip: int) -> Vec:
        """The voxel of another mip in which a voxel lies."""
        return self.meta.point_to_mip(pt, mip, to_mip)

    def slices_from_global_coords(self, slices: Key) -> tuple[slice, ...]:
        """Slices of mip 0 as slices of the working mip."""
        return self.bbox_to_mip(slices, 0, self.mip).to_slices()

    def slices_to_global_coords(self, slices: Key) -> tuple[slice, ...]:
        """Slices of the working mip as slices of mip 0."""
        return self.bbox_to_mip(slices, self.mip, 0).to_slices()

    def __repr__(self) -> str:
        size = " × ".join(map(str, self.shape))
        voxel = f"{self.layer_type}, {self.data_type}, {format_resolution(self.resolution)} nm, {self.encoding}"
        return f"CloudVolume({self.cloudpath!r}, mip={self.mip}): {size}, {self.bounds}, {voxel}"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each mip."""
        cells = [
            (
                mip,
                f"{format_resolution(self.mip_resolution(mip))} nm",
                self.mip_bounds(mip),
                " × ".join(map(str, self.mip_chunk_size(mip))),
                self.mip_encoding(mip),
            )
            for mip in self.available_mips
        ]
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in cells)
        title = f"{self.cloudpath} · {self.layer_type} · {self.data_type} · {self.num_channels} channel(s)"
        header = "<tr><th>mip</th><th>voxel</th><th>bounds</th><th>chunk</th><th>encoding</th></tr>"
        return f"<b>{html.escape(title)}</b><table>{header}{rows}</table>"
