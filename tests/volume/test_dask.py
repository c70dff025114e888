"""Volumes as dask arrays, and back."""

import sys

import dask.array
import numpy as np
import pytest
from library import OFFSET, SIZE, made
from volumes import noise

import cvbatch.dask
from cvbatch import CloudVolume
from cvbatch.errors import DimensionError, UnsupportedFormatError


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "em", voxels)


def test_a_volume_as_an_array(vol, voxels):
    lazy = vol.to_dask()
    assert (lazy.shape, lazy.dtype, lazy.chunks[0]) == ((*SIZE, 1), np.uint8, (32, 32, 6))
    np.testing.assert_array_equal(lazy.compute()[..., 0], voxels)
    np.testing.assert_array_equal(lazy[5:9, 3, ::2].compute()[..., 0], voxels[5:9, 3, ::2])
    assert int(lazy.astype(int).sum().compute()) == int(voxels.astype(int).sum())
    other = cvbatch.dask.from_cloudvolume(vol.cloudpath, chunks=(10, 10, 10, 1), name="mine", fill_missing=True)
    assert (other.name, other.chunksize) == ("mine", (10, 10, 10, 1))
    np.testing.assert_array_equal(other.compute(), lazy.compute())


def test_an_array_as_a_volume(tmp_path, voxels):
    lazy = dask.array.from_array(voxels, chunks=(32, 16, 8))
    cvbatch.dask.to_cloudvolume(lazy, str(tmp_path / "d"), resolution=(4, 4, 40), voxel_offset=OFFSET)
    vol = CloudVolume(str(tmp_path / "d"))
    assert (vol.chunk_size, vol.voxel_offset, vol.layer_type) == ((32, 16, 8), OFFSET, "image")
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_writing_later(tmp_path, voxels):
    lazy = dask.array.from_array(voxels, chunks=(32, 16, 8))
    later = cvbatch.dask.to_cloudvolume(lazy, str(tmp_path / "d"), compute=False)
    vol = CloudVolume(str(tmp_path / "d"))
    assert not vol.image.has_data()
    later.compute()
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_into_a_volume_that_is_there(vol, voxels):
    lazy = dask.array.from_array(voxels + np.uint8(1), chunks=(7, 50, 20))
    cvbatch.dask.to_cloudvolume(lazy, vol)
    np.testing.assert_array_equal(vol[:][..., 0], voxels + np.uint8(1))


def test_arrays_that_no_volume_holds(tmp_path, voxels):
    with pytest.raises(DimensionError, match=r"\(70, 50\)"):
        cvbatch.dask.to_cloudvolume(dask.array.zeros((70, 50)), str(tmp_path / "d"))
    uneven = dask.array.from_array(voxels, chunks=((10, 30, 30), 50, 20))
    with pytest.raises(DimensionError, match="rechunk"):
        cvbatch.dask.to_cloudvolume(uneven, str(tmp_path / "d"))
    assert not (tmp_path / "d").exists()


def test_without_dask(vol, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(UnsupportedFormatError, match=r"cvbatch\[dask\]"):
        vol.to_dask()
