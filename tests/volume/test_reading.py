"""What comes out of a volume."""

import os
import threading
import warnings

import numpy as np
import pytest
from library import OFFSET, SIZE, info_of, made
from volumes import labels, noise

from cvbatch import Bbox, CloudVolume, Vec, VolumeCutout
from cvbatch.errors import (
    DecodingError,
    EmptyFileException,
    EmptyRequestException,
    EmptyVolumeException,
    InfoUnavailableError,
    OutOfBoundsError,
    ScaleUnavailableError,
    SubvoxelVolumeError,
    UnsupportedFormatError,
    UnsupportedProtocolError,
)


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "set" / "em", voxels)


@pytest.fixture
def cells(tmp_path):
    return made(tmp_path / "cells", labels(SIZE, "uint64", 3))


FORMS = {
    "everything": (np.s_[:], np.s_[:, :, :]),
    "three dots": (np.s_[...], np.s_[:, :, :]),
    "dots before": (np.s_[..., 0], np.s_[:, :, :]),
    "a box": (np.s_[20:40, -10:5, 6:9], np.s_[10:30, 10:25, 1:4]),
    "open ends": (np.s_[20:, :0, 6:], np.s_[10:, :20, 1:]),
    "one axis": (np.s_[12:14], np.s_[2:4]),
    "a number": (np.s_[20, -10:5, 6:9], np.s_[10:11, 10:25, 1:4]),
    "a voxel": (np.s_[20, -10, 6], np.s_[10:11, 10:11, 1:2]),
    "steps": (np.s_[20:40:3, -10:5:2, 6:9:4], np.s_[10:30:3, 10:25:2, 1:4:4]),
    "a Bbox": (Bbox((20, -10, 6), (40, 5, 9)), np.s_[10:30, 10:25, 1:4]),
    "a Bbox in nanometres": (Bbox((80, -40, 240), (160, 20, 360), unit="nm"), np.s_[10:30, 10:25, 1:4]),
    "a Vec": (Vec(20, -10, 6), np.s_[10:11, 10:11, 1:2]),
    "the name of a chunk": ("10-42_-20--4_5-13", np.s_[0:32, 0:16, 0:8]),
    "numpy's numbers": (np.s_[np.int64(20) : np.uint8(40), -10:5, np.int32(6)], np.s_[10:30, 10:25, 1:2]),
    "fractions": (np.s_[20.7:40.2, -10.5:5, 6:9], np.s_[10:30, 9:25, 1:4]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_selection(vol, voxels, form):
    key, place = FORMS[form]
    cutout = vol[key]
    np.testing.assert_array_equal(cutout, voxels[place][..., np.newaxis])
    assert isinstance(cutout, VolumeCutout)


def test_channels(tmp_path):
    voxels = noise((*SIZE, 3), "uint8")
    vol = made(tmp_path / "rgb", voxels)
    np.testing.assert_array_equal(vol[:], voxels)
    np.testing.assert_array_equal(vol[..., 1], voxels[..., 1:2])
    np.testing.assert_array_equal(vol[10:20, :, :, 1:], voxels[:10, ..., 1:])
    for wrong in (np.s_[..., 3], np.s_[..., -1], np.s_[..., 1:4]):
        with pytest.raises(OutOfBoundsError, match="volume that has 3"):
            vol[wrong]


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (np.s_[0:20, 0:5, 5:9], OutOfBoundsError, r"\(0, 0, 5\)–\(20, 5, 9\) leaves .*\(10, -20, 5\)–\(80, 30, 25\)"),
        (np.s_[9, 0, 5], OutOfBoundsError, "leaves the volume"),
        (np.s_[20:20, 0:5, 5:9], SubvoxelVolumeError, "has no voxel"),
        (np.s_[30:20, 0:5, 5:9], EmptyRequestException, "has no voxel"),
        (np.s_[40:20:-1, 0:5, 5:9], ValueError, "step -1 along axis 0"),
        (np.s_[20, 0, 5, 0, 0], TypeError, "5 indices"),
        (np.s_[..., 20, ...], TypeError, "more than one"),
        (None, TypeError, "None along axis 0"),
        ([True, False, True], TypeError, "no coordinate"),
        ("some text", ValueError, "some text"),
    ],
)
def test_selections_that_are_refused(vol, key, error, text):
    with pytest.raises(error, match=text):
        vol[key]


def test_unbounded_reads_background_outside(vol, voxels):
    vol.bounded, vol.background_color = False, 9
    got = vol[0:20, -20:-10, 5:7][..., 0]
    assert (got[:10] == 9).all()
    np.testing.assert_array_equal(got[10:], voxels[:10, :10, :2])
    assert (vol[1000:1010, 0:2, 0:2] == 9).all()


def test_autocrop(vol, voxels):
    vol.bounded, vol.autocrop = False, True
    cutout = vol[0:20, -20:-10, 5:7]
    assert cutout.bounds == Bbox((10, -20, 5), (20, -10, 7))
    np.testing.assert_array_equal(cutout[..., 0], voxels[:10, :10, :2])
    with pytest.raises(SubvoxelVolumeError, match="no voxel in the volume"):
        vol[1000:1010, 0:2, 0:2]


def test_missing_chunks(vol, tmp_path):
    os.unlink(tmp_path / "set" / "em" / "4_4_40" / "10-42_-20--4_5-13.gz")
    for read in (lambda: vol[:], lambda: vol.unique(vol.bounds), lambda: vol.scattered_points([(11, -19, 6)])):
        with pytest.raises(EmptyVolumeException, match=r"4_4_40/10-42_-20--4_5-13 is missing.*fill_missing=True"):
            read()
    vol.fill_missing, vol.background_color = True, 5
    assert (vol[10:42, -20:-4, 5:13] == 5).all()
    assert vol.scattered_points([(11, -19, 6)]) == {(11, -19, 6): 5}
    assert vol.unique(np.s_[10:42, -20:-4, 5:13]) == {5}
    assert vol.download_files(np.s_[10:42, -20:-4, 5:13]) == {"4_4_40/10-42_-20--4_5-13": None}


def test_broken_chunks_are_errors_whatever_may_be_filled(vol, tmp_path):
    path = tmp_path / "set" / "em" / "4_4_40" / "10-42_-20--4_5-13.gz"
    vol.fill_missing = True
    path.write_bytes(b"")
    with pytest.raises(EmptyFileException, match="10-42_-20--4_5-13"):
        vol[:]
    path.write_bytes(b"not gzip")
    with pytest.raises(DecodingError, match="10-42_-20--4_5-13"):
        vol[:]


def test_cutouts_know_where_they_are_from(vol):
    cutout = vol[20:30, 0:5, 6:9]
    for same in (cutout, cutout[2:4], cutout.copy(), cutout + 1, cutout[..., 0]):
        assert same.bounds == Bbox((20, 0, 6), (30, 5, 9))
        assert (same.mip, same.resolution, same.layer_type) == (0, Vec(4, 4, 40), "image")
        assert (same.dataset_name, same.layer, same.num_channels) == ("set", "em", 1)
    assert cutout.flags.f_contiguous
    with pytest.raises(UnsupportedFormatError, match="viewer"):
        cutout.viewer()


def test_save_images(vol, voxels, tmp_path, monkeypatch):
    from imagecodecs import png_decode

    monkeypatch.chdir(tmp_path)
    folder = vol[:].save_images()
    assert len(os.listdir(folder)) == SIZE[2]
    with open(os.path.join(folder, "003.png"), "rb") as file:
        np.testing.assert_array_equal(png_decode(file.read()), voxels[:, :, 3].T)
    vol[:].save_images("along-x", axis="x", image_format="JPEG")
    assert len(os.listdir("along-x")) == SIZE[0]
    with pytest.raises(ValueError, match="axis is 'w'"):
        vol[:].save_images(axis="w")
    with pytest.raises(ValueError, match="GIF"):
        vol[:].save_images(image_format="GIF")


def test_saved_pictures_of_other_types(cells, tmp_path):
    from imagecodecs import png_decode

    # given labels, and floats that have to be stretched
    cells[:].save_images(str(tmp_path / "labels"))
    floats = made(tmp_path / "floats", noise(SIZE, "float32"))
    floats[:].save_images(str(tmp_path / "floats-png"), global_norm=False)
    for name in ("labels", "floats-png"):
        picture = png_decode((tmp_path / name / "000.png").read_bytes())
        assert picture.dtype == np.uint8
        assert picture.max() > 100


def test_download_options(cells):
    whole = np.asarray(cells[:])
    present = sorted(cells.unique(cells.bounds))
    assert present == sorted(np.unique(whole).tolist())
    one, two = [label for label in present if label][:2]
    mask = cells.download(cells.bounds, label=one)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, whole == one)
    np.testing.assert_array_equal(
        cells.download(cells.bounds, segids=[one, two]), np.where(np.isin(whole, [one, two]), whole, 0)
    )
    kept = cells.download(cells.bounds, segids=[one], preserve_zeros=True)
    largest = np.iinfo(np.uint64).max
    np.testing.assert_array_equal(kept, np.where((whole == one) | (whole == 0), whole, largest))
    small, original = cells.download(cells.bounds, renumber=True)
    assert small.dtype == np.uint8
    assert small.bounds == cells.bounds
    np.testing.assert_array_equal(np.vectorize(original.get, otypes=["uint64"])(np.asarray(small)), whole)


@pytest.mark.parametrize("options", [{"agglomerate": True}, {"timestamp": 5}, {"stop_layer": 2}])
def test_what_belongs_to_graphene_is_refused(vol, options):
    with pytest.raises(UnsupportedFormatError, match=next(iter(options))):
        vol.download(vol.bounds, **options)


@pytest.mark.parametrize(
    "options", [{"mesh_dir": "m"}, {"skel_dir": "s"}, {"agglomerate": True}, {"spatial_index_db": "x"}]
)
def test_arguments_for_meshes_and_graphene_are_refused(vol, options):
    with pytest.raises(UnsupportedFormatError, match=next(iter(options))):
        CloudVolume(vol.cloudpath, **options)
    for part in ("mesh", "skeleton"):
        with pytest.raises(UnsupportedFormatError, match="not part of this version"):
            getattr(vol, part)


def test_points(vol, voxels):
    points = [(10, -20, 5), (79, 29, 24), (40, 0, 10), (41, 0, 10)]
    found = vol.scattered_points(points)
    assert found == {point: voxels[tuple(np.subtract(point, OFFSET))] for point in points}
    assert vol.scattered_points((10, -20, 5)) == {(10, -20, 5): voxels[0, 0, 0]}
    assert vol.scattered_points([(5, -10, 5)], coord_resolution=(8, 8, 40)) == {(10, -20, 5): voxels[0, 0, 0]}
    with pytest.raises(OutOfBoundsError):
        vol.scattered_points([(0, 0, 0)])
    vol.bounded = False
    assert vol.scattered_points([(0, 0, 0)]) == {(0, 0, 0): 0}


def test_points_of_several_channels(tmp_path):
    voxels = noise((*SIZE, 3), "uint8")
    vol = made(tmp_path / "rgb", voxels)
    np.testing.assert_array_equal(vol.scattered_points([(10, -20, 5)])[10, -20, 5], voxels[0, 0, 0])


@pytest.mark.parametrize(("size", "low"), [(8, (36, -4, 8)), ((7, 1, 4), (37, 0, 10))])
def test_the_region_around_a_point(vol, size, low):
    cutout = vol.download_point((40, 0, 12), size=size)
    assert cutout.bounds == Bbox.from_delta(low, size)
    assert vol.download_point((20, 0, 12), size=size, coord_resolution=(8, 8, 40)).bounds == cutout.bounds


def test_mips(tmp_path, voxels):
    info = info_of(voxels, max_mip=2)
    vol = made(tmp_path / "em", voxels, info)
    vol.mip = 1
    vol[:] = voxels[::2, ::2]
    assert vol[5:40, -10:15, 5:25].mip == 1
    vol.mip = [16, 16, 40]
    assert (vol.mip, vol.key) == (2, "16_16_40")
    assert not vol.image.has_data()
    assert vol.image.has_data(0)
    assert CloudVolume(vol.cloudpath, mip=(8, 8, 40)).mip == 1
    assert CloudVolume(vol.cloudpath, mip=-1).mip == 2
    for wrong in (3, -4, [5, 5, 5]):
        with pytest.raises(ScaleUnavailableError, match=r"there are 0 \(4 × 4 × 40 nm\), 1 \(8 × 8 × 40 nm\), 2"):
            vol.mip = wrong
    assert vol.mip == 2
    cut = vol.download_point((40, 0, 12), size=4, mip=1)
    assert cut.bounds == Bbox((18, -2, 10), (22, 2, 14))
    assert vol.scattered_points([(40, 0, 12)], mip=1) == {(20, 0, 12): voxels[30, 20, 7]}


def test_paths(tmp_path, voxels, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made("em", voxels)
    path = tmp_path / "em"
    for name in ("em", "em/", f"file://{path}", f"precomputed://file://{path}/", str(path)):
        assert CloudVolume(name).cloudpath == f"file://{path}"
    with pytest.raises(UnsupportedProtocolError, match="no store for foo"):
        CloudVolume("foo://bucket/em")
    with pytest.raises(UnsupportedFormatError, match="graphene"):
        CloudVolume("graphene://https://example.org/em")
    with pytest.raises(InfoUnavailableError, match=r"no volume at file://.*none.*create_new_info"):
        CloudVolume("none")


def test_coordinates_beyond_32_bits(tmp_path):
    voxels = noise(SIZE, "uint8")
    far = (2**40, -(2**35), 2**33)
    vol = made(tmp_path / "far", voxels, info_of(voxels, voxel_offset=far))
    x, y, z = far
    np.testing.assert_array_equal(vol[x + 5 : x + 9, y + 1 : y + 3, z : z + 2][..., 0], voxels[5:9, 1:3, 0:2])
    assert vol.scattered_points([far]) == {far: voxels[0, 0, 0]}


def test_chunks_in_memory(vol, voxels, tmp_path):
    vol.image.lru.resize(10**6)
    vol[10:42, -20:-4, 5:13]
    key = "4_4_40/10-42_-20--4_5-13"
    assert list(vol.image.lru) == [key]
    assert vol.image.lru.nbytes == 32 * 16 * 8
    os.unlink(tmp_path / "set" / "em" / f"{key}.gz")
    np.testing.assert_array_equal(vol[10:42, -20:-4, 5:13][..., 0], voxels[:32, :16, :8])
    assert vol.unique(np.s_[10:11, -20:-19, 5:6]) == {voxels[0, 0, 0]}
    # when the chunk is written it is read anew
    vol[10:42, -20:-4, 5:13] = 3
    assert (vol[10:42, -20:-4, 5:13] == 3).all()
    vol.image.lru.resize(0)
    assert len(vol.image.lru) == 0


def test_only_so_many_bytes_stay_in_memory(vol):
    vol.image.lru.resize(3 * 32 * 16 * 8)
    vol[:]
    assert 0 < vol.image.lru.nbytes <= 3 * 32 * 16 * 8
    assert vol.image.lru.nbytes == sum(map(len, vol.image.lru.values()))


def test_from_many_threads_with_memory(vol, voxels):
    vol.image.lru.resize(20_000)
    found = []

    def read(x):
        found.append(np.array_equal(vol[x : x + 20, :, :][..., 0], voxels[x - 10 : x + 10]))

    threads = [threading.Thread(target=read, args=(x,)) for x in range(10, 60, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * len(threads)


def test_a_notebook_shows_what_it_is(vol):
    assert repr(vol) == (
        f"CloudVolume({vol.cloudpath!r}, mip=0): 70 × 50 × 20 × 1, (10, -20, 5)–(80, 30, 25), image, uint8, "
        "4 × 4 × 40 nm, raw"
    )
    assert "<td>4 × 4 × 40 nm</td>" in vol._repr_html_()
    with vol as same:
        assert same is vol


def test_progress_is_a_bar_on_standard_error(vol, capsys):
    vol.progress = True
    vol[:]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Downloading" in captured.err


def test_no_progress_in_programs(vol, capsys):
    with warnings.catch_warnings():
        CloudVolume(vol.cloudpath, green_threads=True)[:]
    assert capsys.readouterr() == ("", "")
