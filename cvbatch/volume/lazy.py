"""A volume behind a dask array. Needs the extra ``dask``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbatch.errors import UnsupportedFormatError


def dask_module() -> Any:
    """``dask.array``. Raises :class:`UnsupportedFormatError` with the extra to install where there is none."""
    try:
        import dask.array
    except ImportError as error:
        raise UnsupportedFormatError("dask is not installed: pip install 'cvbatch[dask]'") from error
    return dask.array


class Counted:
    """A volume whose coordinates begin at 0, as dask counts."""

    ndim = 4

    def __init__(self, vol: Any) -> None:
        self._vol = vol
        self.shape, self.dtype = vol.shape, vol.dtype

    def _box(self, key: tuple[slice, ...]) -> tuple[slice, ...]:
        offset = (*self._vol.voxel_offset, 0)
        return tuple(slice(part.start + o, part.stop + o) for part, o in zip(key, offset, strict=True))

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        if any(part.start == part.stop for part in key):  # dask asks for nothing, to see what comes.
            return np.empty([part.stop - part.start for part in key], self.dtype)
        return np.asarray(self._vol[self._box(key)])

    def __setitem__(self, key: tuple[slice, ...], voxels: np.ndarray[Any, Any]) -> None:
        self._vol[self._box(key)] = np.asarray(voxels)


def dask_array(vol: Any, chunks: Any = None, name: Any = None) -> Any:
    """The working mip as a dask array (x, y, z, channel), by default in the volume's chunks."""
    wanted = (*vol.chunk_size, vol.num_channels) if chunks is None else chunks
    named = {} if name is None else {"name": name}
    return dask_module().from_array(Counted(vol), chunks=wanted, asarray=False, fancy=False, **named)
