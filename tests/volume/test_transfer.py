"""``transfer_to``."""

import os

import numpy as np
import pytest
from library import SIZE, info_of, made
from volumes import files, labels, noise

from cvbatch import Bbox, CloudVolume
from cvbatch.errors import (
    AlignmentError,
    DestinationMismatchError,
    EmptyVolumeException,
    OutOfBoundsError,
    ScaleUnavailableError,
    UnsupportedFormatError,
)


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "em", voxels, info_of(voxels, max_mip=1))


def chunks_of(folder):
    return {name: data for name, data in files(folder).items() if "/" in name}


@pytest.mark.parametrize("parallel", [1, 2])
def test_chunks_are_copied_as_they_are(vol, tmp_path, parallel):
    vol.parallel = parallel
    vol.info["extra"] = {"kept": True}
    copy = vol.transfer_to(str(tmp_path / "copy"), vol.bounds)
    assert chunks_of(tmp_path / "copy") == chunks_of(tmp_path / "em")
    assert copy.info == vol.info
    assert copy.provenance.sources == [vol.cloudpath]
    assert not list((tmp_path / "copy").glob(".cvbatch*"))


@pytest.mark.parametrize("parallel", [1, 2])
def test_another_encoding(vol, tmp_path, voxels, parallel):
    vol.parallel = parallel
    png = vol.transfer_to(str(tmp_path / "png"), vol.bounds, encoding="png")
    assert png.encoding == "png"
    np.testing.assert_array_equal(png[:][..., 0], voxels)
    cells = made(tmp_path / "cells", labels(SIZE))
    packed = cells.transfer_to(str(tmp_path / "packed"), cells.bounds, encoding="compressed_segmentation")
    assert packed.compressed_segmentation_block_size == (8, 8, 8)
    np.testing.assert_array_equal(packed[:], cells[:])


@pytest.mark.parametrize(
    ("compress", "extension"), [("br", ".br"), (False, ""), (None, ".gz"), (True, ".gz"), ("auto", ".gz")]
)
def test_another_compression(vol, tmp_path, voxels, compress, extension):
    made_of = vol.transfer_to(str(tmp_path / "c"), vol.bounds, compress=compress)
    assert {os.path.splitext(name)[1] for name in chunks_of(tmp_path / "c")} == {extension}
    np.testing.assert_array_equal(made_of[:][..., 0], voxels)


@pytest.mark.parametrize("parallel", [1, 2])
def test_another_grid_that_is_there(vol, tmp_path, voxels, parallel):
    vol.parallel = parallel
    info = info_of(voxels, chunk_size=(24, 50, 9), resolution=(4, 4, 40))
    CloudVolume(str(tmp_path / "other"), info=info).commit_info()
    before = (tmp_path / "other" / "info").read_bytes()
    np.testing.assert_array_equal(vol.transfer_to(str(tmp_path / "other"), vol.bounds)[:][..., 0], voxels)
    assert (tmp_path / "other" / "info").read_bytes() == before


def test_a_part_grows_to_whole_chunks(vol, tmp_path, voxels):
    part = vol.transfer_to(str(tmp_path / "part"), Bbox((50, 0, 6), (60, 5, 7)))
    assert list(chunks_of(tmp_path / "part")) == ["4_4_40/42-74_-4-12_5-13.gz"]
    np.testing.assert_array_equal(part[42:74, -4:12, 5:13][..., 0], voxels[32:64, 16:32, :8])


def test_a_coarser_mip(vol, tmp_path, voxels):
    vol.mip = 1
    vol[:] = voxels[::2, ::2]
    copy = vol.transfer_to(str(tmp_path / "coarse"), vol.bounds)
    assert copy.mip == 1
    np.testing.assert_array_equal(copy[:][..., 0], voxels[::2, ::2])


def test_missing_chunks(vol, tmp_path):
    vol.delete(np.s_[42:74, -4:12, 5:13])
    with pytest.raises(EmptyVolumeException, match="42-74_-4-12_5-13"):
        vol.transfer_to(str(tmp_path / "a"), vol.bounds)
    vol.fill_missing = True
    assert not vol.transfer_to(str(tmp_path / "b"), vol.bounds)[42:74, -4:12, 5:13].any()


def test_in_memory(vol, voxels):
    there_and_back = vol.transfer_to("mem://transfer/em", vol.bounds).transfer_to("mem://transfer/again", vol.bounds)
    np.testing.assert_array_equal(there_and_back[:][..., 0], voxels)


def test_what_does_not_fit_is_refused_and_nothing_is_written(vol, tmp_path, voxels):
    other, grid = str(tmp_path / "other"), str(tmp_path / "grid")
    CloudVolume(other, info=info_of(voxels.astype(np.uint16))).commit_info()
    CloudVolume(grid, info=info_of(voxels, chunk_size=(40, 40, 40))).commit_info()
    before = files(tmp_path)
    part = Bbox((42, -4, 5), (74, 12, 13))
    with pytest.raises(DestinationMismatchError, match="holds image, uint16"):
        vol.transfer_to(other, vol.bounds)
    with pytest.raises(AlignmentError, match="nearest box that is"):
        vol.transfer_to(grid, part)
    with pytest.raises(DestinationMismatchError, match="encoding is png"):
        vol.transfer_to(grid, vol.bounds, encoding="png")
    with pytest.raises(DestinationMismatchError, match="is the source too"):
        vol.transfer_to(vol.cloudpath, vol.bounds)
    with pytest.raises(OutOfBoundsError):
        vol.transfer_to(str(tmp_path / "new"), Bbox((0, 0, 0), (42, 12, 13)))
    with pytest.raises(UnsupportedFormatError, match="fpzip cannot be written"):
        vol.transfer_to(str(tmp_path / "new"), vol.bounds, encoding="fpzip")
    with pytest.raises(DestinationMismatchError, match="is not sharded"):
        vol.transfer_to(grid, vol.bounds, sharded=True)
    vol.mip = 1
    with pytest.raises(ScaleUnavailableError, match="no mip of 8 × 8 × 40 nm"):
        vol.transfer_to(grid, vol.bounds)
    assert files(tmp_path) == before


def test_in_memory_with_processes(vol, voxels):
    vol.parallel = 2
    copy = vol.transfer_to("mem://transfer/processes", vol.bounds)
    np.testing.assert_array_equal(copy[:][..., 0], voxels)


def test_by_way_of_image(vol, tmp_path, voxels):
    vol.image.transfer_to(str(tmp_path / "copy"), vol.bounds, 0, encoding="png", block_size=64)
    np.testing.assert_array_equal(CloudVolume(str(tmp_path / "copy"))[:][..., 0], voxels)


def test_progress(vol, tmp_path, capsys):
    vol.progress = True
    vol.transfer_to(str(tmp_path / "copy"), vol.bounds)
    assert "Transferring" in capsys.readouterr().err
