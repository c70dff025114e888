"""``CloudVolume``: a Neuroglancer volume as an array."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from cvbatch.errors import UnsupportedFormatError
from cvbatch.geometry import Bbox, Vec, box_between_resolutions
from cvbatch.memory import FILE, SEGMENT
from cvbatch.metadata.volume import format_resolution
from cvbatch.storage import parse_location
from cvbatch.version import __version__
from cvbatch.volume.arrays import volume_of_array
from cvbatch.volume.cache import CacheSettings, cache_folder
from cvbatch.volume.cacheservice import CacheService
from cvbatch.volume.context import Context
from cvbatch.volume.cutout import VolumeCutout
from cvbatch.volume.image import ImageSource, NamedBox
from cvbatch.volume.labels import mask_of, only, renumbered
from cvbatch.volume.lru import ChunkLru
from cvbatch.volume.metadata import Document, Metadata, Provenance, voxel_at
from cvbatch.volume.options import Compress, Options
from cvbatch.volume.progress import is_interactive
from cvbatch.volume.scales import create_info, with_block_size
from cvbatch.volume.selection import Key, as_box
from cvbatch.volume.transfer import Changes

Mip = int | Sequence[float] | None


class Option:
    """An attribute of a volume that is one of its :class:`Options`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, volume: CloudVolume | None, owner: type) -> Any:
        return self if volume is None else getattr(volume._context.options, self._name)

    def __set__(self, volume: CloudVolume, value: Any) -> None:
        volume._context.set_options(**{self._name: value})


class OfScale:
    """An attribute of the working mip, taken from :class:`Metadata`."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, volume: CloudVolume | None, owner: type) -> Any:
        return self if volume is None else getattr(volume.meta, self._name)(volume.mip)


class CloudVolume:
    """A Precomputed volume, read and written by slices of coordinates.

    >>> import numpy as np
    >>> from cvbatch import CloudVolume
    >>> info = CloudVolume.create_new_info(
    ...     num_channels=1, layer_type="image", data_type="uint8", encoding="raw",
    ...     resolution=[4, 4, 40], voxel_offset=[0, 0, 0], chunk_size=[32, 32, 16], volume_size=[64, 64, 32],
    ... )
    >>> vol = CloudVolume("mem://doctest/em", info=info)
    >>> vol[:] = np.ones((64, 64, 32), np.uint8)
    >>> vol[10:20, 0:5, 3].shape
    (10, 5, 1, 1)

    Numbers are coordinates at the working mip, from ``voxel_offset`` on, also negative ones. Arrays are
    (x, y, z, channel) in Fortran order. An object may be used from many threads, and pickles to its path and options.
    """

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

    def __init__(
        self,
        cloudpath: str,
        mip: int | Sequence[float] = 0,
        bounded: bool = True,
        autocrop: bool = False,
        fill_missing: bool = False,
        cache: bool | str = False,
        compress_cache: Compress = None,
        cdn_cache: bool | int | str = True,
        progress: bool | str | None = None,
        info: Document | None = None,
        provenance: str | Mapping[str, Any] | None = None,
        compress: Compress = None,
        compress_level: int | None = None,
        non_aligned_writes: bool = False,
        parallel: int | bool = 1,
        delete_black_uploads: bool = False,
        background_color: float = 0,
        green_threads: bool = False,
        use_https: bool = False,
        max_redirects: int = 10,
        mesh_dir: str | None = None,
        skel_dir: str | None = None,
        agglomerate: bool = False,
        secrets: Any = None,
        spatial_index_db: str | None = None,
        lru_bytes: int = 0,
        cache_locking: bool = True,
        cache_max_bytes: int | None = None,
    ) -> None:
        """Open a volume. Its ``info`` is read, nothing is written.

        ``cloudpath``: ``file://…``, a bare path or ``mem://…``. ``mip``: an index or a resolution. ``bounded`` False
        reads what is outside of the volume as background; with ``autocrop`` boxes are cut to the volume instead.
        ``fill_missing`` reads chunks that are not there as ``background_color``. ``cache`` True or a path keeps
        objects on disk (``compress_cache``, ``cache_locking``, ``cache_max_bytes``), ``lru_bytes`` keeps encoded
        chunks in memory. ``info`` is used in place of the stored one, for new volumes; ``provenance`` likewise.
        ``compress`` (None: what suits the encoding; ``gzip``, ``br``, ``zstd``, ``xz``, ``bz2``, True, False) and
        ``compress_level`` are for writing, as are ``cdn_cache`` (Cache-Control in buckets), ``non_aligned_writes``
        and ``delete_black_uploads`` (removes chunks that are all background). ``parallel``: processes, True for all
        cores. ``progress``: bars on standard error. ``max_redirects``: how many ``redirect`` members are followed.
        ``use_https`` and ``secrets`` are for buckets. ``green_threads`` is accepted and needless: nothing here
        waits in a way that gevent would improve.

        Raises :class:`~cvbatch.errors.InfoUnavailableError`, :class:`~cvbatch.errors.ScaleUnavailableError`,
        :class:`~cvbatch.errors.UnsupportedProtocolError`, :class:`~cvbatch.errors.UnsupportedFormatError` (also for
        ``mesh_dir``, ``skel_dir``, ``spatial_index_db`` and ``agglomerate``, which this version has no use for).
        """
        later = {
            "mesh_dir": mesh_dir, "skel_dir": skel_dir, "spatial_index_db": spatial_index_db, "agglomerate": agglomerate
        }  # fmt: skip
        _refuse(**later)
        options = Options(
            bounded=bounded,
            autocrop=autocrop,
            fill_missing=fill_missing,
            background_color=background_color,
            delete_black_uploads=delete_black_uploads,
            non_aligned_writes=non_aligned_writes,
            parallel=parallel,
            compress=compress,
            compress_level=compress_level,
            cdn_cache=cdn_cache,
            progress=is_interactive() if progress is None else progress,
            green_threads=green_threads,
        )
        location = parse_location(cloudpath)
        meta = Metadata(location, info, max_redirects)
        if provenance is not None:
            meta.provenance = Provenance.of(provenance)
        folder = cache_folder(meta.location, cache if isinstance(cache, str) and cache else None)
        settings = CacheSettings(folder, compress_cache, cache_locking, cache_max_bytes)
        self._open(Context(meta, options, meta.to_mip(mip), ChunkLru(lru_bytes), settings, bool(cache)))

    def _open(self, context: Context) -> None:
        self._context = context
        self.image = ImageSource(context)
        self.cache = CacheService(context)
        if context.cache_enabled:
            self.cache.check_info()

    # Making volumes

    @classmethod
    def create_new_info(
        cls,
        num_channels: int,
        layer_type: str,
        data_type: str,
        encoding: str,
        resolution: Sequence[float],
        voxel_offset: Sequence[int],
        volume_size: Sequence[int],
        mesh: str | bool | None = None,
        skeletons: str | bool | None = None,
        chunk_size: Sequence[int] = (64, 64, 64),
        compressed_segmentation_block_size: Sequence[int] = (8, 8, 8),
        max_mip: int = 0,
        factor: Sequence[int] = (2, 2, 1),
        redirect: str | None = None,
    ) -> Document:
        """An ``info`` for a new volume: sizes in voxels, ``resolution`` in nanometres, ``chunk_size`` of all mips."""
        names = {"mesh": "mesh", "skeletons": "skeletons"}
        given = {"mesh": mesh, "skeletons": skeletons, "redirect": redirect}
        voxel: Document = {"num_channels": int(num_channels), "type": layer_type, "data_type": _type_name(data_type)}
        voxel |= {name: names[name] if value is True else value for name, value in given.items() if value}
        scale = {
            "encoding": encoding,
            "chunk_sizes": [[int(n) for n in chunk_size]],
            "resolution": _numbers(resolution),
            "voxel_offset": [int(n) for n in voxel_offset],
            "size": [int(n) for n in volume_size],
        }
        scale = with_block_size(scale, compressed_segmentation_block_size)
        return create_info(voxel, scale, _numbers(factor), max_mip)

    @classmethod
    def from_numpy(
        cls,
        arr: np.ndarray[Any, Any],
        vol_path: str | None = None,
        resolution: Sequence[float] = (4, 4, 40),
        voxel_offset: Sequence[int] = (0, 0, 0),
        chunk_size: Sequence[int] = (128, 128, 64),
        layer_type: str | None = None,
        max_mip: int = 0,
        encoding: str = "raw",
        compress: Compress = None,
        progress: bool | str = False,
    ) -> CloudVolume:
        """A new volume that holds an array (x, y, z) or (x, y, z, channel).

        ``vol_path`` is a new folder below the one for temporary files if not given; ``layer_type`` is segmentation
        for unsigned integers of 32 bits and more, else image. ``max_mip`` adds coarser scales to ``info``, without
        voxels. Raises :class:`~cvbatch.errors.DimensionError`.
        """
        path, voxels, members = volume_of_array(arr, vol_path, layer_type)
        info = cls.create_new_info(
            **members,
            encoding=encoding,
            resolution=resolution,
            voxel_offset=voxel_offset,
            chunk_size=chunk_size,
            volume_size=voxels.shape[:3],
            max_mip=max_mip,
        )
        vol = cls(path, info=info, compress=compress, progress=progress)
        vol.commit_info()
        vol.provenance.processing.append({"method": "from_numpy", "by": f"cvbatch {__version__}"})
        vol.commit_provenance()
        vol[:] = voxels
        return vol

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
    def cache_path(self) -> str:
        return self.cache.path

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

    @property
    def mesh(self) -> Any:
        """Not there yet."""
        raise UnsupportedFormatError("meshes are not part of this version; CloudVolume reads them from the same path")

    @property
    def skeleton(self) -> Any:
        """Not there yet."""
        raise UnsupportedFormatError(
            "skeletons are not part of this version; CloudVolume reads them from the same path"
        )

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

    # Voxels

    def __getitem__(self, key: Key) -> VolumeCutout:
        return self.image.select(key)

    def __setitem__(self, key: Key, image: Any) -> None:
        self.image.store(key, image)

    def download(
        self,
        bbox: Key,
        mip: Mip = None,
        parallel: int | None = None,
        segids: Iterable[int] | None = None,
        preserve_zeros: bool = False,
        agglomerate: bool | None = None,
        timestamp: int | None = None,
        stop_layer: int | None = None,
        renumber: bool = False,
        coord_resolution: Sequence[float] | None = None,
        label: int | None = None,
    ) -> VolumeCutout | tuple[VolumeCutout, dict[int, int]]:
        """The voxels of a box.

        ``segids`` keeps these labels and makes the others 0; with ``preserve_zeros`` they become the largest value
        there is, so that 0 stays told apart. ``label`` gives a boolean array of where that label is.
        ``renumber`` gives a pair: the array in the smallest type that will do, and ``{new: old}`` for its labels.
        ``coord_resolution`` says in voxels of how many nanometres the box is written. ``agglomerate``,
        ``timestamp`` and ``stop_layer`` belong to graphene volumes and are refused. Raises as reading does.
        """
        _refuse(agglomerate=agglomerate, timestamp=timestamp, stop_layer=stop_layer)
        mip = self._context.to_mip(mip)
        cutout = self.image.download(self._box(bbox, mip, coord_resolution), mip, parallel)
        if label is not None:
            return mask_of(cutout, label)
        if segids is not None:
            cutout = only(cutout, segids, preserve_zeros)
        return renumbered(cutout) if renumber else cutout

    def _box(self, bbox: Key, mip: int, coord_resolution: Sequence[float] | None) -> Key:
        """A box that is written in voxels of another resolution, in those of ``mip``."""
        if coord_resolution is None:
            return bbox
        box = as_box(bbox, self._context.extent(mip).unlimited())
        return box_between_resolutions(box, list(coord_resolution), self.meta.resolution(mip))

    def download_point(
        self,
        pt: Sequence[float],
        size: int | Sequence[int] = 256,
        mip: Mip = None,
        parallel: int | None = None,
        coord_resolution: Sequence[float] | None = None,
        **options: Any,
    ) -> Any:
        """``size`` voxels of ``mip`` around a point, which is in voxels of mip 0 or of ``coord_resolution``.

        Other arguments are those of :meth:`download`.
        """
        mip = self._context.to_mip(mip)
        center, extent = self._to_voxel(pt, mip, coord_resolution), Vec.of(size)
        return self.download(Bbox.from_delta(center - extent // 2, extent), mip, parallel, **options)

    def scattered_points(
        self, pts: Sequence[Any], mip: Mip = None, coord_resolution: Sequence[float] | None = None
    ) -> dict[tuple[int, ...], Any]:
        """``{(x, y, z): value}`` for points in voxels of mip 0 or of ``coord_resolution``; one point will do, too.

        The keys are in voxels of ``mip``. Each chunk is read once.
        """
        mip = self._context.to_mip(mip)
        points = np.asarray(pts, dtype=object).reshape((-1, 3)).tolist()
        return self.image.download_points([self._to_voxel(point, mip, coord_resolution) for point in points], mip)

    def _to_voxel(self, point: Sequence[float], mip: int, coord_resolution: Sequence[float] | None) -> Vec:
        """The voxel of ``mip`` in which a point lies that is in voxels of mip 0 or of another resolution."""
        given = self.meta.resolution(0) if coord_resolution is None else coord_resolution
        return voxel_at(point, given, self.meta.resolution(mip))

    def unique(
        self,
        bbox: Key,
        mip: Mip = None,
        agglomerate: bool | None = None,
        timestamp: int | None = None,
        stop_layer: int | None = None,
        coord_resolution: Sequence[float] | None = None,
    ) -> set[Any]:
        """The values in a box. ``agglomerate``, ``timestamp`` and ``stop_layer`` are refused."""
        _refuse(agglomerate=agglomerate, timestamp=timestamp, stop_layer=stop_layer)
        mip = self._context.to_mip(mip)
        return self.image.unique(self._box(bbox, mip, coord_resolution), mip)

    def download_files(
        self,
        bbox: Key,
        mip: Mip = None,
        parallel: int | None = None,
        *,
        coord_resolution: Sequence[float] | None = None,
        decompress: bool = True,
    ) -> dict[str, bytes | None]:
        """The files of a box's chunks by name, as stored or (``decompress``) without compression; None if absent.

        ``parallel`` is accepted and needless.
        """
        mip = self._context.to_mip(mip)
        return self.image.download_files(self._box(bbox, mip, coord_resolution), mip, decompress)

    def exists(self, bbox_or_slices: Key) -> dict[str, bool]:
        """For each chunk that shares voxels with a box, by name, whether it is there."""
        return self.image.exists(bbox_or_slices)

    def delete(self, bbox_or_slices: Key) -> None:
        """Remove the chunks of a box, which must be made of whole ones."""
        self.image.delete(bbox_or_slices)

    def transfer_to(
        self,
        cloudpath: str,
        bbox: Key,
        block_size: int | None = None,
        compress: Compress = True,
        encoding: str | None = None,
        sharded: bool | None = None,
        mip: Mip = None,
        compress_level: int | None = None,
    ) -> CloudVolume:
        """Bring a box to another volume, chunk by chunk; that volume.

        One that is not there is made, with all of this ``info`` and, if given, another ``encoding``. Bytes are
        copied where nothing changes. ``compress`` True or None keeps the compression that there is. ``sharded`` True
        puts the chunks of a new volume into shards, False into files of their own, None as they are here.
        ``block_size`` is accepted and needless: memory is bounded by itself. The box grows to whole chunks. Raises
        :class:`~cvbatch.errors.DestinationMismatchError` and :class:`~cvbatch.errors.AlignmentError` for a volume
        that is there and does not fit.
        """
        mip = self._context.to_mip(mip)
        url = self.image.transfer(cloudpath, bbox, mip, Changes(encoding, compress, compress_level, sharded))
        return CloudVolume(url, mip=self.meta.resolution(mip), progress=self.progress, parallel=self.parallel)

    # Shared memory and files

    @property
    def shared_memory_id(self) -> str:
        """The segment that is used if none is named."""
        return self.image.shared_memory_id

    @shared_memory_id.setter
    def shared_memory_id(self, value: str) -> None:
        self.image.shared_memory_id = value

    def generate_shared_memory_location(self) -> str:
        """A name that no segment has; nothing is made."""
        return self.image.generate_shared_memory_location()

    def download_to_shared_memory(self, slices: Key, location: str | None = None, mip: Mip = None) -> VolumeCutout:
        """As ``vol[slices]``, in the shared-memory segment ``location`` (``shared_memory_id`` if not given).

        The segment is (x, y, z, channel) in Fortran order, and stays until it is unlinked, also when this process
        is gone. On Linux it is the file ``/dev/shm/<location>``. One that is there is used again or replaced.
        """
        return self.image.download_to_shared_memory(slices, location, mip)

    def upload_from_shared_memory(
        self, location: str, bbox: Key, order: str = "F", cutout_bbox: Key | None = None, mip: Mip = None
    ) -> None:
        """Write the voxels of ``bbox`` that the segment holds, or only those of ``cutout_bbox``, without a copy.

        Raises :class:`~cvbatch.errors.SharedMemoryReadError` for a segment that is missing or of another size.
        """
        self.image.upload_from(NamedBox(SEGMENT, location, bbox, order), cutout_bbox, mip)

    def unlink_shared_memory(self, location: str | None = None) -> bool:
        """Remove the segment ``location`` (``shared_memory_id`` if not given); whether it was there."""
        return self.image.unlink_shared_memory(location)

    def download_to_file(self, path: str, bbox: Key, mip: Mip = None) -> VolumeCutout:
        """As :meth:`download`, in a file of raw voxels (Fortran order) that is mapped into memory."""
        return self.image.download_to_file(path, bbox, mip)

    def upload_from_file(
        self, location: str, bbox: Key, order: str = "F", cutout_bbox: Key | None = None, mip: Mip = None
    ) -> None:
        """Write the voxels of ``bbox`` that a raw file holds, or only those of ``cutout_bbox``."""
        self.image.upload_from(NamedBox(FILE, location, bbox, order), cutout_bbox, mip)

    # Others

    def to_dask(self, chunks: Any = None, name: str | bool | None = None) -> Any:
        """The working mip as a dask array (x, y, z, channel); needs the extra ``dask``."""
        from cvbatch.volume.dask import from_cloudvolume

        return from_cloudvolume(self, chunks=chunks, name=name)

    def viewer(self, port: int = 1337) -> None:
        """Serve the volume to Neuroglancer on this machine until Ctrl-C; the address is printed."""
        from cvbatch.volume.server import serve_volume

        serve_volume(self.meta.store, port)

    def __getstate__(self) -> Document:
        context = self._context
        meta = context.meta
        return {
            "path": self.cloudpath,
            "info": meta.info if meta.uncommitted else None,
            "readonly": meta.readonly,
            "options": context.options,
            "mip": context.mip,
            "lru_bytes": context.lru.size,
            "cache": (context.cache, context.cache_enabled),
            "shared_memory_id": self.image.shared_memory_id,
        }

    def __setstate__(self, state: Document) -> None:
        meta = Metadata(parse_location(state["path"]), state["info"], 0)
        meta.readonly = state["readonly"]
        self._open(Context(meta, state["options"], state["mip"], ChunkLru(state["lru_bytes"]), *state["cache"]))
        self.image.shared_memory_id = state["shared_memory_id"]

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""


def _numbers(values: Sequence[float]) -> list[Any]:
    """Plain numbers, whatever they were."""
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _type_name(data_type: Any) -> str:
    """``uint8`` for that, ``np.uint8`` and numpy's dtype of it."""
    return data_type if isinstance(data_type, str) else np.dtype(data_type).name


def _refuse(**arguments: Any) -> None:
    """Raise :class:`UnsupportedFormatError` for arguments that belong to what this version does not read."""
    given = [name for name, value in arguments.items() if value not in (None, False)]
    if given:
        raise UnsupportedFormatError(
            f"{', '.join(given)}: for meshes, skeletons and graphene volumes, which this version does not read"
        )
