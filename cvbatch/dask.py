"""Volumes as dask arrays, and dask arrays into volumes. Needs the extra ``dask``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbatch.errors import DimensionError
from cvbatch.volume import CloudVolume
from cvbatch.volume.lazy import Counted, dask_array, dask_module
from cvbatch.volume.scales import default_layer_type


def from_cloudvolume(cloudpath: str | CloudVolume, chunks: Any = None, name: Any = None, **options: Any) -> Any:
    """The working mip of a volume as a dask array (x, y, z, channel), by default in the volume's chunks.

    ``options`` are those of :class:`CloudVolume`. Element 0 of the array is voxel ``voxel_offset``.
    """
    vol = CloudVolume(cloudpath, **options) if isinstance(cloudpath, str) else cloudpath
    return dask_array(vol, chunks, name)


def to_cloudvolume(
    arr: Any,
    cloudpath: str | CloudVolume,
    resolution: Any = (1, 1, 1),
    voxel_offset: Any = (0, 0, 0),
    layer_type: str | None = None,
    encoding: str = "raw",
    max_mip: int = 0,
    compute: bool = True,
    return_stored: bool = False,
    **options: Any,
) -> Any:
    """Write a dask array (x, y, z) or (x, y, z, channel) into a new volume, or into one that is opened.

    A new volume's chunks are those of the array, whose chunks along x, y and z must be of one size (but the last);
    ``max_mip`` adds coarser scales without voxels to its ``info``. ``compute`` and ``return_stored`` are those of
    :func:`dask.array.store`. Raises :class:`~cvbatch.errors.DimensionError` for an array that no volume holds.
    """
    array = dask_module()
    if arr.ndim not in (3, 4):
        raise DimensionError(f"a dask array of shape {arr.shape}; a volume has x, y, z and perhaps channel")
    arr = arr[..., np.newaxis] if arr.ndim == 3 else arr
    arr = arr.rechunk({3: -1})
    if isinstance(cloudpath, str):
        vol = _new_volume(arr, cloudpath, (resolution, voxel_offset, layer_type, encoding, max_mip), options)
    else:
        vol = cloudpath
        arr = arr.rechunk((*vol.chunk_size, vol.num_channels))
    return array.store(arr, Counted(vol), lock=False, compute=compute, return_stored=return_stored)


def _new_volume(arr: Any, cloudpath: str, described: Any, options: dict[str, Any]) -> CloudVolume:
    resolution, voxel_offset, layer_type, encoding, max_mip = described
    if any(len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0] for sizes in arr.chunks[:3]):
        raise DimensionError(f"chunks of different sizes, {arr.chunks[:3]}; call .rechunk with one size an axis first")
    info = CloudVolume.create_new_info(
        num_channels=arr.shape[3],
        layer_type=layer_type or default_layer_type(arr.dtype),
        data_type=arr.dtype.name,
        encoding=encoding,
        resolution=resolution,
        voxel_offset=voxel_offset,
        volume_size=arr.shape[:3],
        chunk_size=[sizes[0] for sizes in arr.chunks[:3]],
        max_mip=max_mip,
    )
    vol = CloudVolume(cloudpath, info=info, **options)
    vol.commit_info()
    vol.commit_provenance()
    return vol
