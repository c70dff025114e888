"""``CloudVolume``: a Neuroglancer volume as an array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from cvbatch.errors import UnsupportedFormatError
from cvbatch.geometry import Bbox, Vec, box_between_resolutions
from cvbatch.memory import FILE, SEGMENT
from cvbatch.storage import StoreOptions, parse_location
from cvbatch.version import __version__
from cvbatch.volume.arrays import volume_of_array
from cvbatch.volume.cache import CacheSettings, cache_folder
from cvbatch.volume.cacheservice import CacheService
from cvbatch.volume.context import Context
from cvbatch.volume.cutout import VolumeCutout
from cvbatch.volume.described import Described
from cvbatch.volume.image import ImageSource, NamedBox
from cvbatch.volume.labels import mask_of, only, renumbered
from cvbatch.volume.lru import ChunkLru
from cvbatch.volume.metadata import Document, Metadata, Provenance, voxel_at
from cvbatch.volume.options import Compress, Options, secrets_text
from cvbatch.volume.progress import is_interactive
from cvbatch.volume.scales import create_info, with_block_size
from cvbatch.volume.selection import Key, as_box
from cvbatch.volume.transfer import Changes

Mip = int | Sequence[float] | None


class CloudVolume(Described):
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
        *,
        endpoint: str = "",
        region_name: str = "",
        anonymous: bool = False,
        request_payer: str = "",
    ) -> None:
        """Open a volume. Its ``info`` is read, nothing is written.

        ``cloudpath``: ``file://…``, a bare path, ``s3://…``, ``s3://https://server/bucket/…``, ``gs://…``, ``https://…``
        or ``mem://…``. ``mip``: an index or a resolution. ``bounded`` False
        reads what is outside of the volume as background; with ``autocrop`` boxes are cut to the volume instead.
        ``fill_missing`` reads chunks that are not there as ``background_color``. ``cache`` True or a path keeps
        objects on disk (``compress_cache``, ``cache_locking``, ``cache_max_bytes``), ``lru_bytes`` keeps encoded
        chunks in memory. ``info`` is used in place of the stored one, for new volumes; ``provenance`` likewise.
        ``compress`` (None: what suits the encoding; ``gzip``, ``br``, ``zstd``, ``xz``, ``bz2``, True, False) and
        ``compress_level`` are for writing, as are ``cdn_cache`` (Cache-Control in buckets), ``non_aligned_writes``
        and ``delete_black_uploads`` (removes chunks that are all background). ``parallel``: processes, True for all
        cores. ``progress``: bars on standard error. ``max_redirects``: how many ``redirect`` members are followed.
        ``secrets`` (a dict, JSON or token) are the credentials of a bucket or server; else those of CloudVolume's files
        and of the provider's own tools are used. ``endpoint`` is the S3 server of a path that names none,
        ``request_payer`` "requester" (S3) or a project (Google); ``anonymous`` asks without credentials, ``use_https``
        reads a bucket by HTTPS. ``green_threads`` is accepted and needless: nothing here
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
        location = parse_location(
            cloudpath,
            StoreOptions(
                endpoint=endpoint,
                region_name=region_name,
                anonymous=anonymous,
                request_payer=request_payer,
                use_https=use_https,
                secrets=secrets_text(secrets),
            ),
        )
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

    # Others of its kind

    @property
    def cache_path(self) -> str:
        return self.cache.path

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
        target = self.image.transfer(cloudpath, bbox, mip, Changes(encoding, compress, compress_level, sharded))
        reached = target.options
        return CloudVolume(
            target.url,
            mip=self.meta.resolution(mip),
            progress=self.progress,
            parallel=self.parallel,
            secrets=reached.secrets,
            region_name=reached.region_name,
            anonymous=reached.anonymous,
            request_payer=reached.request_payer,
        )

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
        from cvbatch.volume.lazy import dask_array

        return dask_array(self, chunks, name)

    def viewer(self, port: int = 1337) -> None:
        """Serve the volume to Neuroglancer on this machine until Ctrl-C; the address is printed."""
        from cvbatch.volume.server import serve_volume

        serve_volume(self.meta.store, port)

    def __getstate__(self) -> Document:
        context = self._context
        meta = context.meta
        return {
            "location": meta.location,
            "info": meta.info if meta.uncommitted else None,
            "readonly": meta.readonly,
            "options": context.options,
            "mip": context.mip,
            "lru_bytes": context.lru.size,
            "cache": (context.cache, context.cache_enabled),
            "shared_memory_id": self.image.shared_memory_id,
        }

    def __setstate__(self, state: Document) -> None:
        meta = Metadata(state["location"], state["info"], 0)
        meta.readonly = state["readonly"]
        self._open(Context(meta, state["options"], state["mip"], ChunkLru(state["lru_bytes"]), *state["cache"]))
        self.image.shared_memory_id = state["shared_memory_id"]

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
