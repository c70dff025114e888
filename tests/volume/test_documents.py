"""``info`` and ``provenance`` as the user sees them."""

import json

import numpy as np
import pytest
from library import SIZE, info_of, made
from volumes import files, noise

from cvbatch import Bbox, CloudVolume, Vec
from cvbatch.errors import (
    CyclicRedirect,
    InfoError,
    InfoUnavailableError,
    ProvenanceError,
    ReadOnlyException,
    RedirectError,
    TooManyRedirects,
)


@pytest.fixture
def vol(tmp_path):
    return made(tmp_path / "set" / "em", noise(SIZE, "uint8"), info_of(noise(SIZE, "uint8"), max_mip=2))


def redirect(tmp_path, name, target):
    """A volume that points to another one."""
    info = info_of(noise(SIZE, "uint8"), redirect=str(target))
    folder = tmp_path / name
    folder.mkdir()
    (folder / "info").write_text(json.dumps(info))
    return str(folder)


def test_create_new_info():
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding="compressed_segmentation",
        resolution=[4, 4.5, 40],
        voxel_offset=Vec(1, -2, 3),
        volume_size=np.array([101, 100, 10]),
        mesh=True,
        skeletons="skel",
        chunk_size=(64, 64, 32),
        max_mip=2,
        factor=(2, 2, 2),
    )
    assert json.loads(json.dumps(info)) == info
    assert (info["mesh"], info["skeletons"]) == ("mesh", "skel")
    assert [scale["key"] for scale in info["scales"]] == ["4_4.5_40", "8_9_80", "16_18_160"]
    assert info["scales"][1]["size"] == [51, 50, 5]
    assert info["scales"][1]["voxel_offset"] == [0, -1, 1]
    assert info["scales"][2]["compressed_segmentation_block_size"] == [8, 8, 8]
    assert info["scales"][2]["chunk_sizes"] == [[64, 64, 32]]


def test_properties_and_their_twins(vol, tmp_path):
    vol.mip = 1
    expected = {
        "key": "8_8_40",
        "encoding": "raw",
        "resolution": Vec(8, 8, 40),
        "volume_size": Vec(35, 25, 20),
        "voxel_offset": Vec(5, -10, 5),
        "chunk_size": Vec(32, 16, 8),
        "underlying": Vec(32, 16, 8),
        "bounds": Bbox((5, -10, 5), (40, 15, 25)),
        "downsample_ratio": Vec(2, 2, 1),
        "shape": (35, 25, 20, 1),
        "ndim": 4,
        "scale": vol.info["scales"][1],
        "compressed_segmentation_block_size": None,
    }
    for name, value in expected.items():
        assert getattr(vol, name) == value, name
        vol.mip = 0
        assert getattr(vol, f"mip_{name}")(1) == value, name
        vol.mip = 1
    path = f"file://{tmp_path}/set/em"
    assert (vol.cloudpath, vol.layer_cloudpath, vol.info_cloudpath) == (path, path, f"{path}/info")
    assert (vol.base_cloudpath, vol.basepath, vol.layerpath) == (f"file://{tmp_path}/set", f"{tmp_path}/set", path[7:])
    assert (vol.dataset_name, vol.layer) == ("set", "em")
    assert (vol.layer_type, vol.data_type, vol.dtype, vol.num_channels) == ("image", "uint8", np.uint8, 1)
    assert list(vol.available_mips) == [0, 1, 2]
    assert list(vol.available_resolutions) == [Vec(4, 4, 40), Vec(8, 8, 40), Vec(16, 16, 40)]


def test_coordinates_of_mips(vol):
    box = Bbox((11, -19, 5), (41, 1, 6))
    assert vol.bbox_to_mip(box, 0, 1) == Bbox((5, -10, 5), (21, 1, 6))
    assert vol.bbox_to_mip(box, 0, 2) == Bbox((2, -5, 5), (11, 1, 6))
    assert vol.bbox_to_mip(box, 2, 0) == Bbox((44, -76, 5), (164, 4, 6))
    assert vol.bbox_to_mip(box.to_slices(), 0, 1) == Bbox((5, -10, 5), (21, 1, 6))
    assert vol.point_to_mip((11, -19, 5), 0, 1) == Vec(5, -10, 5)
    vol.mip = 1
    assert vol.slices_from_global_coords(box.to_slices()) == np.s_[5:21, -10:1, 5:6]
    assert vol.slices_to_global_coords(np.s_[5:21, -10:1, 5:6]) == np.s_[10:42, -20:2, 5:6]


def test_scales_are_added_and_removed(vol):
    vol.add_scale((4, 4, 2))
    assert vol.scales[3] == {
        **vol.scales[0],
        "key": "16_16_80",
        "resolution": [16, 16, 80],
        "size": [18, 13, 10],
        "voxel_offset": [2, -5, 2],
    }
    vol.add_scale((2, 2, 1), encoding="png", chunk_size=(8, 8, 8))
    assert (len(vol.scales), vol.scales[1]["encoding"], vol.scales[1]["chunk_sizes"]) == (4, "png", [[8, 8, 8]])
    assert len(CloudVolume(vol.cloudpath).scales) == 3
    vol.commit_info()
    assert CloudVolume(vol.cloudpath).info == vol.info
    vol.reset_scales()
    assert len(vol.scales) == 1
    assert len(vol.refresh_info()["scales"]) == 4


def test_unknown_members_survive(vol):
    vol.info["mine"] = {"a": [1, 2.5, None]}
    vol.scale["also"] = "mine"
    vol.commit_info()
    again = CloudVolume(vol.cloudpath)
    assert (again.info["mine"], again.scale["also"]) == ({"a": [1, 2.5, None]}, "mine")


def test_numbers_of_numpy_are_written_as_json(vol):
    vol.scale["chunk_sizes"] = [np.array([8, 8, 8])]
    vol.scale["resolution"] = Vec(4, 4, 40)
    vol.commit_info()
    assert CloudVolume(vol.cloudpath).chunk_size == Vec(8, 8, 8)
    vol.info["wrong"] = object()
    with pytest.raises(InfoError, match="cannot be written as JSON"):
        vol.commit_info()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda info: info.pop("scales"), "scales is missing"),
        (lambda info: info.update(data_type="uint7"), "data_type 'uint7'"),
        (lambda info: info["scales"][0].update(size=[1, 2]), "size should be three"),
        (lambda info: info["scales"][1].update(resolution=[0, 1, 1]), "resolution should be"),
    ],
)
def test_an_info_that_makes_no_sense_is_not_committed(vol, tmp_path, change, text):
    before = files(tmp_path)
    change(vol.info)
    with pytest.raises(InfoUnavailableError, match=text):
        vol.commit_info()
    with pytest.raises(InfoUnavailableError, match=text):
        CloudVolume(str(tmp_path / "other"), info=vol.info)
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_an_info_that_cannot_be_read(tmp_path, content):
    (tmp_path / "info").write_text(content)
    with pytest.raises(InfoUnavailableError, match=str(tmp_path)):
        CloudVolume(str(tmp_path))


def test_the_users_info_is_not_shared(tmp_path):
    info = info_of(noise(SIZE, "uint8"))
    vol = CloudVolume(str(tmp_path / "a"), info=info)
    vol.info["scales"][0]["encoding"] = "png"
    assert info["scales"][0]["encoding"] == "raw"


def test_provenance(vol):
    assert vol.provenance == {"description": "", "owners": [], "processing": [], "sources": []}
    vol.provenance.description = "a test"
    vol.provenance["owners"].append("me@example.org")
    vol.provenance.extra = 5
    vol.commit_provenance()
    again = CloudVolume(vol.cloudpath)
    assert (again.provenance.description, again.provenance.owners, again.provenance["extra"]) == (
        "a test",
        ["me@example.org"],
        5,
    )
    again.provenance = '{"description": "from JSON"}'
    assert again.provenance == {"description": "from JSON", "owners": [], "processing": [], "sources": []}
    assert again.refresh_provenance().description == "a test"
    given = CloudVolume(vol.cloudpath, provenance={"sources": ["x"]})
    assert given.provenance.sources == ["x"]
    with pytest.raises(AttributeError, match="no 'nothing'; it has description"):
        _ = vol.provenance.nothing


def test_a_provenance_that_is_damaged(vol, tmp_path):
    (tmp_path / "set" / "em" / "provenance").write_text("{")
    with pytest.raises(ProvenanceError, match="provenance is not JSON"):
        _ = CloudVolume(vol.cloudpath).provenance


def test_redirects_are_followed_and_read_only(vol, tmp_path):
    second = redirect(tmp_path, "second", vol.cloudpath)
    first = redirect(tmp_path, "first", second)
    with pytest.warns(UserWarning, match="redirects to"):
        found = CloudVolume(first)
    assert found.cloudpath == vol.cloudpath
    np.testing.assert_array_equal(found[:], vol[:])
    before = files(tmp_path)
    for write in (
        lambda: found.__setitem__(np.s_[:], 3),
        found.commit_info,
        found.commit_provenance,
        lambda: found.delete(found.bounds),
    ):
        with pytest.raises(ReadOnlyException, match="readonly = False"):
            write()
    assert files(tmp_path) == before
    found.image.readonly = False
    found[:] = 3
    assert (vol[:] == 3).all()


def test_redirects_that_are_not_followed(vol, tmp_path):
    first = redirect(tmp_path, "first", redirect(tmp_path, "second", vol.cloudpath))
    assert CloudVolume(first, max_redirects=0).cloudpath == f"file://{first}"
    with pytest.raises(TooManyRedirects, match=r"max_redirects=1.*first → .*second → .*em"):
        CloudVolume(first, max_redirects=1)
    ring = redirect(tmp_path, "ring", tmp_path / "end")
    redirect(tmp_path, "end", ring)
    with pytest.raises(CyclicRedirect, match=r"ring → .*end → .*ring"):
        CloudVolume(ring)
    with pytest.raises(RedirectError):
        CloudVolume(ring)


def test_a_volume_may_name_itself(tmp_path):
    path = redirect(tmp_path, "self", tmp_path / "self")
    assert not CloudVolume(path).image.readonly
