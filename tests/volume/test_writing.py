"""What goes into a volume."""

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import CHUNK, SIZE, info_of, made
from volumes import files, noise

from cvbatch import Bbox, CloudVolume
from cvbatch.errors import (
    AlignmentError,
    DimensionError,
    EmptyVolumeException,
    OutOfBoundsError,
    SubvoxelVolumeError,
    UnsupportedCompressionType,
    UnsupportedFormatError,
)

CHUNK_BOX = np.s_[10:42, -20:-4, 5:13]


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "em", voxels)


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("axes", [3, 4])
def test_arrays_of_any_order(vol, voxels, order, axes):
    wanted = np.array(voxels[:32, :16, :8] + np.uint8(1), order=order)
    vol[CHUNK_BOX] = wanted if axes == 3 else wanted[..., np.newaxis]
    np.testing.assert_array_equal(vol[CHUNK_BOX][..., 0], wanted)


def test_one_number(vol):
    vol[CHUNK_BOX] = 7
    assert (vol[CHUNK_BOX] == 7).all()
    vol[CHUNK_BOX] = np.uint8(8)
    assert (vol[CHUNK_BOX] == 8).all()


def test_an_edge_of_the_volume_counts_as_aligned(vol):
    vol[74:80, 28:30, 21:25] = 5
    assert (vol[74:80, 28:30, 21:25] == 5).all()


REFUSED = [
    (
        np.s_[11:42, -20:-4, 5:13],
        (31, 16, 8),
        "uint8",
        AlignmentError,
        r"nearest that are: \(10, -20, 5\)–\(42, -4, 13\)",
    ),
    (np.s_[10:60, -20:-4, 5:13], (50, 16, 8), "uint8", AlignmentError, r"\(74, -4, 13\) and \(10, -20, 5\)–\(42"),
    (np.s_[-22:10, -20:-4, 5:13], (32, 16, 8), "uint8", OutOfBoundsError, "leaves the volume"),
    (CHUNK_BOX, (32, 16, 8), "uint16", ValueError, "array holds uint16, the volume uint8"),
    (CHUNK_BOX, (32, 16, 8), "bool", ValueError, "array holds bool"),
    (
        CHUNK_BOX,
        (32, 16, 7),
        "uint8",
        AlignmentError,
        r"shape \(32, 16, 7\) for a box of \(32, 16, 8, 1\) .*channel\)$",
    ),
    (CHUNK_BOX, (8, 16, 32), "uint8", AlignmentError, r"image\.transpose\(2, 1, 0\) would fit"),
    (CHUNK_BOX, (32, 16, 8, 2), "uint8", AlignmentError, r"shape \(32, 16, 8, 2\)"),
    (CHUNK_BOX, (32, 16), "uint8", AlignmentError, r"shape \(32, 16\)"),
    (np.s_[10:10, -20:-4, 5:13], (0, 16, 8), "uint8", SubvoxelVolumeError, "has no voxel"),
    (np.s_[10:42:2, -20:-4, 5:13], (16, 16, 8), "uint8", ValueError, "steps of"),
]


@pytest.mark.parametrize(("key", "shape", "dtype", "error", "text"), REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_written(vol, tmp_path, key, shape, dtype, error, text):
    before = files(tmp_path)
    with pytest.raises(error, match=text):
        vol[key] = np.ones(shape, dtype)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("value", "error"),
    [(7.5, ValueError), (300, OverflowError), (None, TypeError), (True, TypeError), (np.int64(3), ValueError)],
)
def test_numbers_that_are_no_voxels(vol, value, error):
    with pytest.raises(error):
        vol[CHUNK_BOX] = value


def test_some_channels_cannot_be_written_alone(tmp_path):
    voxels = noise((*SIZE, 2), "uint8")
    vol = made(tmp_path / "two", voxels)
    with pytest.raises(AlignmentError, match="channels 0 to 1 of 2"):
        vol[10:42, -20:-4, 5:13, 0] = voxels[:32, :16, :8, :1]
    with pytest.raises(AlignmentError, match="for a box of"):
        vol[10:42, -20:-4, 5:13] = voxels[:32, :16, :8, 0]
    np.testing.assert_array_equal(vol[:], voxels)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_non_aligned_writes_equal_writing_into_an_array(data):
    # given a box anywhere in a volume
    voxels = noise(SIZE, "uint16")
    vol = made("mem://writing/any", voxels, non_aligned_writes=True)
    low = [data.draw(st.integers(0, size - 1)) for size in SIZE]
    high = [data.draw(st.integers(a + 1, size)) for a, size in zip(low, SIZE, strict=True)]
    place = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    # when it is written
    vol[Bbox(low, high) + vol.voxel_offset] = 9
    # then it alone has changed
    wanted = voxels.copy()
    wanted[place] = 9
    np.testing.assert_array_equal(vol[:][..., 0], wanted)


def test_a_non_aligned_write_next_to_nothing(vol, tmp_path):
    vol.non_aligned_writes = True
    os.unlink(tmp_path / "em" / "4_4_40" / "42-74_-20--4_5-13.gz")
    before = files(tmp_path)
    with pytest.raises(EmptyVolumeException, match="42-74_-20--4_5-13 is missing"):
        vol[10:60, -20:-4, 5:13] = 7
    assert files(tmp_path) == before
    vol.fill_missing, vol.background_color = True, 2
    vol[10:60, -20:-4, 5:13] = 7
    assert vol[58:62, -20, 5].ravel().tolist() == [7, 7, 2, 2]


def test_background_is_removed(vol, tmp_path):
    vol.delete_black_uploads, vol.background_color = True, 4
    vol[CHUNK_BOX] = 4
    assert not (tmp_path / "em" / "4_4_40" / "10-42_-20--4_5-13.gz").exists()
    vol[CHUNK_BOX] = 0
    assert (vol[CHUNK_BOX] == 0).all()


def test_autocrop(vol, voxels):
    vol.bounded = False
    image = np.full((64, 32, 32), 6, np.uint8)
    with pytest.raises(OutOfBoundsError, match="autocrop=True"):
        vol[-22:42, -36:-4, -19:13] = image
    vol.autocrop = True
    vol[-22:42, -36:-4, -19:13] = image
    wanted = voxels.copy()
    wanted[:32, :16, :8] = 6
    np.testing.assert_array_equal(vol[:][..., 0], wanted)


COMPRESSIONS = [
    (None, "raw", ".gz"),
    (True, "raw", ".gz"),
    (False, "raw", ""),
    ("", "raw", ""),
    ("gzip", "raw", ".gz"),
    ("br", "raw", ".br"),
    ("zstd", "raw", ".zstd"),
    ("xz", "raw", ".xz"),
    ("bz2", "raw", ".bz2"),
    (None, "compressed_segmentation", ".gz"),
    (None, "compresso", ".gz"),
    (None, "crackle", ".gz"),
    (None, "png", ""),
]


@pytest.mark.parametrize(("compress", "encoding", "extension"), COMPRESSIONS)
def test_compression(tmp_path, compress, encoding, extension):
    voxels = noise(SIZE, "uint8" if encoding in ("raw", "png") else "uint32")
    vol = made(tmp_path / "v", voxels, info_of(voxels, encoding=encoding), compress=compress)
    assert {os.path.splitext(name)[1] for name in os.listdir(tmp_path / "v" / "4_4_40")} == {extension}
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_another_compression_leaves_one_file(vol, tmp_path):
    vol.compress = "zstd"
    vol[CHUNK_BOX] = 1
    names = [name for name in os.listdir(tmp_path / "em" / "4_4_40") if name.startswith("10-42_-20--4_5-13")]
    assert names == ["10-42_-20--4_5-13.zstd"]


def test_compression_levels(vol, tmp_path, voxels):
    sizes = []
    for level in (1, 12):
        vol.compress, vol.compress_level = "gzip", level
        vol[:] = (voxels // 32) * np.uint8(32)
        sizes.append(sum(map(len, files(tmp_path).values())))
    assert sizes[1] < sizes[0]
    with pytest.raises(UnsupportedFormatError, match="13 is not a level"):
        made(tmp_path / "x", voxels, compress="gzip", compress_level=13)


def test_unknown_compression(vol):
    with pytest.raises(UnsupportedCompressionType, match="'foo'; there are gzip"):
        vol.compress = "foo"
    with pytest.raises(ValueError, match="foo"):
        CloudVolume(vol.cloudpath, compress="foo")


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (True, "max-age=3600, s-max-age=3600"),
        (False, "no-cache"),
        (60, "max-age=60, s-max-age=60"),
        (0, "no-cache"),
        ("private", "private"),
    ],
)
def test_cache_control(vol, value, header):
    vol.cdn_cache = value
    assert vol._context.options.cache_control == header


def test_delete(vol, tmp_path):
    with pytest.raises(AlignmentError, match="whole chunks"):
        vol.delete(np.s_[11:42, -20:-4, 5:13])
    assert all(vol.exists(CHUNK_BOX).values())
    vol.delete(CHUNK_BOX)
    assert vol.exists(np.s_[10:43, -20:-4, 5:13]) == {
        "4_4_40/10-42_-20--4_5-13": False,
        "4_4_40/42-74_-20--4_5-13": True,
    }
    vol.delete(vol.bounds)
    assert not vol.image.has_data()
    assert os.listdir(tmp_path / "em" / "4_4_40") == []


def test_upload_and_the_rest_of_image(vol, voxels):
    vol.image.upload(voxels[:32, :16, :8] + np.uint8(1), (10, -20, 5))
    np.testing.assert_array_equal(vol.image.download(CHUNK_BOX)[..., 0], voxels[:32, :16, :8] + np.uint8(1))
    vol.image.upload(voxels[:32, :16, :8], Bbox((10, -20, 5), (42, -4, 13)), parallel=2)
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    assert not vol.image.is_sharded()
    assert vol.image.grid_size() == tuple(-(-size // chunk) for size, chunk in zip(SIZE, CHUNK, strict=True))


def test_from_numpy(tmp_path):
    voxels = noise((40, 30, 20), "uint32")
    vol = CloudVolume.from_numpy(voxels, vol_path=str(tmp_path / "n"), voxel_offset=(1, 2, 3), chunk_size=(16, 16, 16))
    assert (vol.layer_type, vol.dtype, vol.voxel_offset) == ("segmentation", np.uint32, (1, 2, 3))
    np.testing.assert_array_equal(CloudVolume(vol.cloudpath)[:][..., 0], voxels)
    assert vol.provenance.processing[0]["method"] == "from_numpy"
    with pytest.raises(DimensionError, match=re.escape("(5, 5)")):
        CloudVolume.from_numpy(np.zeros((5, 5), np.uint8), vol_path=str(tmp_path / "x"))
    with pytest.raises(UnsupportedFormatError, match="no float64"):
        CloudVolume.from_numpy(np.zeros((5, 5, 5)), vol_path=str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_from_numpy_without_a_path():
    voxels = noise((4, 3, 2, 2), "uint8")
    first, second = CloudVolume.from_numpy(voxels), CloudVolume.from_numpy(voxels)
    assert first.cloudpath != second.cloudpath
    np.testing.assert_array_equal(first[:], voxels)
