"""What can only be found wrong, or right, with the volumes at hand."""

import itertools
import json

import pytest
from volumes import labels, noise, read_scale, read_volume, write_volume

from cvbatch import plan, run
from cvbatch.errors import ConfigError, InputError, ProvenanceError
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import Blob, open_store

serial = itertools.count()


def fresh() -> str:
    return f"mem://resolve/{next(serial)}"


@pytest.fixture
def source() -> str:
    """An image of 64 × 48 × 16 at offset (10, 0, 0), with a second mip."""
    url = fresh()
    write_volume(url, noise((64, 48, 16)), voxel_offset=(10, 0, 0))
    run({"job": "downsample", "source": url, "downsample": {"mips": 1}})
    return url


def refused(config: dict) -> str:
    """Why a configuration is refused; and nothing is written."""
    before = set(open_store("mem://resolve").list())
    with pytest.raises(ConfigError) as caught:
        run(config)
    assert set(open_store("mem://resolve").list()) == before
    return str(caught.value)


def transfer(source, destination=None, **keys) -> dict:
    return {"job": "transfer", "source": source, "destination": destination or fresh(), **keys}


# Rows of the table of destinations.


def test_a_whole_volume_keeps_size_and_offset_and_gets_only_its_scale(source):
    config = transfer(source)
    run(config)
    info = json.loads(open_store(config["destination"]).get("info").data)
    assert [scale["size"] for scale in info["scales"]] == [[64, 48, 16]]
    assert read_scale(config["destination"]).voxel_offset == Vec(10, 0, 0)


def test_a_region_of_a_new_destination_has_the_whole_info_and_only_its_chunks(source):
    config = transfer(source, region={"min": [26, 0, 0], "max": [58, 32, 8]})
    run(config)
    scale = read_scale(config["destination"])
    assert scale.bounds == Bbox((10, 0, 0), (74, 48, 16))
    chunks = sorted(key for key in open_store(config["destination"]).list("4_4_40/"))
    assert len(chunks) == 2 * 2 * 1
    found = read_volume(config["destination"], missing="fill")
    expected = read_volume(source).copy()
    assert (found[16:48, 0:32, 0:8] == expected[16:48, 0:32, 0:8]).all()
    assert not found[:16].any()


def test_a_region_can_be_the_extent_of_its_destination(source):
    config = transfer(source, {"path": fresh(), "extent": "region"}, region={"min": [13, 1, 2], "max": [60, 40, 16]})
    run(config)
    assert read_scale(config["destination"]["path"]).bounds == Bbox((13, 1, 2), (60, 40, 16))
    assert (read_volume(config["destination"]["path"]) == read_volume(source)[3:50, 1:40, 2:16]).all()
    assert run(config).tasks.done_before == len(plan(config))


def test_translation_moves_offset_and_grid(source):
    config = transfer(source, translate=[100, -7, 3])
    run(config)
    assert read_scale(config["destination"]).voxel_offset == Vec(110, -7, 3)
    assert open_store(config["destination"]).exists("4_4_40/110-126_-7-9_3-11")
    assert (read_volume(config["destination"]) == read_volume(source)).all()


def test_a_coarser_mip_begins_a_new_destination(source):
    config = transfer({"path": source, "mip": 1})
    run(config)
    scale = read_scale(config["destination"])
    assert (scale.resolution, scale.size, scale.voxel_offset) == ((8, 8, 40), Vec(32, 24, 16), Vec(5, 0, 0))
    assert (read_volume(config["destination"]) == read_volume(source, 1)).all()


def test_an_existing_destination_gets_the_scale_of_its_resolution(source):
    # given a destination that has mip 0, when mip 1 goes there, then it is appended
    target = fresh()
    run(transfer(source, target))
    run(transfer({"path": source, "mip": 1}, target))
    assert [s["resolution"] for s in json.loads(open_store(target).get("info").data)["scales"]] == [
        [4, 4, 40],
        [8, 8, 40],
    ]
    assert (read_volume(target, 1) == read_volume(source, 1)).all()


def test_an_existing_destination_is_followed_where_nothing_is_asked(source):
    target = fresh()
    write_volume(target, noise((64, 48, 16), seed=1), voxel_offset=(10, 0, 0), chunk_size=(32, 24, 16), encoding="png")
    run(transfer(source, target))
    assert read_scale(target).encoding == "png"
    assert read_scale(target).chunk_size == Vec(32, 24, 16)
    assert (read_volume(target) == read_volume(source)).all()


def test_an_existing_destination_may_be_larger(source):
    # given a destination whose grid begins elsewhere and that holds more
    target = fresh()
    write_volume(target, noise((128, 64, 32), seed=1), voxel_offset=(-6, -16, -8), chunk_size=(16, 16, 8))
    before = read_volume(target).copy()
    run(transfer(source, target))
    before[16:80, 16:64, 8:24] = read_volume(source)
    assert (read_volume(target) == before).all()


def test_a_new_destination_is_one_that_the_job_itself_may_have_made(source):
    target = fresh()
    config = transfer(source, {"path": target, "mode": "create"})
    assert run(config).complete
    assert run(config).complete
    with pytest.raises(InputError, match=r"destination\.mode is create"):
        run({**config, "background": 3})


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ({"chunk_size": [8, 8, 8]}, "destination.chunk_size is [8, 8, 8], scale 4_4_40 there has [16, 16, 8]"),
        ({"encoding": "jpeg"}, "destination.encoding is jpeg, scale 4_4_40 there has raw"),
        ({"extent": "region"}, "asks for (10, 0, 0)–(26, 16, 8), the destination is (10, 0, 0)–(74, 48, 16)"),
    ],
)
def test_an_existing_destination_that_disagrees_is_shown(source, destination, said):
    target = fresh()
    run(transfer(source, target))
    config = transfer(source, {"path": target, **destination}, region={"min": [10, 0, 0], "max": [26, 16, 8]})
    assert said in refused(config)


def test_an_existing_destination_of_other_voxels_is_shown(source):
    target = fresh()
    write_volume(target, labels((64, 48, 16)), "segmentation", voxel_offset=(10, 0, 0))
    assert "the destination holds segmentation, uint64, 1 channel, the source image, uint8, 1 channel" in refused(
        transfer(source, target)
    )


def test_an_existing_destination_that_is_too_small_is_shown(source):
    target = fresh()
    write_volume(target, noise((16, 16, 8)), voxel_offset=(10, 0, 0))
    assert "which is (10, 0, 0)–(26, 16, 8) there" in refused(transfer(source, target))


def test_a_finer_scale_cannot_be_put_before_those_there(source):
    target = fresh()
    write_volume(target, noise((32, 24, 16)), resolution=(8, 8, 40), voxel_offset=(5, 0, 0))
    assert "finer scales" in refused(transfer(source, target))


def test_unaligned_regions_are_refused_expanded_or_shrunk(source):
    region = {"min": [12, 0, 0], "max": [50, 48, 16]}
    said = refused(transfer(source, region=region))
    assert "larger (10, 0, 0)–(58, 48, 16)" in said
    assert "smaller (26, 0, 0)–(42, 48, 16)" in said
    for align, expected in (("expand", Bbox((10, 0, 0), (58, 48, 16))), ("shrink", Bbox((26, 0, 0), (42, 48, 16)))):
        assert plan(transfer(source, {"path": fresh(), "align": align}, region=region)).job.region == expected


def test_regions_at_another_mip_are_converted(source):
    # given a box in voxels of mip 1, which begin at 5 and are two of mip 0
    job = plan(transfer(source, region={"min": [5, 0, 0], "max": [13, 8, 8], "mip": 1})).job
    assert job.region == Bbox((10, 0, 0), (26, 16, 8))


def test_regions_of_coarse_mips_count_from_where_the_volume_begins():
    # given an offset that the factor doesn't divide: mip 1 begins at 5 and stands for voxels from 11 on
    url = fresh()
    write_volume(url, noise((64, 32, 8)), voxel_offset=(11, 0, 0))
    run({"job": "downsample", "source": url, "downsample": {"mips": 1}})
    whole = plan(transfer(url, region={"min": [5, 0, 0], "max": [37, 16, 8], "mip": 1})).job.region
    assert whole == Bbox((11, 0, 0), (75, 32, 8))
    first = plan(transfer(url, region={"min": [5, 0, 0], "max": [13, 8, 8], "mip": 1})).job.region
    assert first == Bbox((11, 0, 0), (27, 16, 8))


def test_parameters_from_python_may_be_tuples(source):
    url, target = fresh(), fresh()
    write_volume(url, labels((32, 32, 8)), "segmentation")
    encoding = {"name": "compressed_segmentation", "block_size": (8, 8, 8)}
    for _ in range(2):
        assert run(transfer(url, {"path": target, "encoding": encoding})).complete


def test_damaged_provenance_is_told_before_the_work(source):
    target = fresh()
    open_store(target).put("provenance", Blob(b"{"))
    with pytest.raises(ProvenanceError, match="is not JSON"):
        run(transfer(source, target))
    assert open_store(target).get("info") is None


# Bad input.


def test_a_region_outside_shows_the_bounds_at_its_mip(source):
    said = refused(transfer(source, region={"min": [0, 0, 0], "max": [8, 8, 8], "mip": 1}))
    assert "(0, 0, 0)–(8, 8, 8) leaves the volume, which is (5, 0, 0)–(37, 24, 16) at mip 1 (8 × 8 × 40 nm" in said


def test_no_info_is_told_for_source_and_destination_together():
    target = fresh()
    open_store(target).put("info", Blob(b"{"))
    missing = fresh()
    said = refused(transfer(missing, target))
    assert f"source: no volume at {missing}" in said
    assert f"destination: {target}/info is not JSON" in said


def test_a_mip_that_is_not_there_lists_those_that_are(source):
    assert "no mip 7; there are 0 (4 × 4 × 40 nm), 1 (8 × 8 × 40 nm)" in refused(transfer({"path": source, "mip": 7}))


def test_source_and_destination_must_differ(source, tmp_path):
    assert "is the source too" in refused(transfer(source, f"precomputed://{source}/"))
    write_volume(f"file://{tmp_path}/a", noise((16, 16, 8)))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert "is the source too" in refused(transfer(f"file://{tmp_path}/a", f"file://{tmp_path}/link"))


def test_an_encoding_that_cannot_hold_the_voxels_names_those_that_can(source):
    said = refused(transfer(source, {"path": fresh(), "encoding": "compressed_segmentation"}))
    assert "cannot be written for image, uint8, 1 channel; these can: raw, jpeg, png, jxl, compresso, crackle" in said
    assert "no encoding 'webp'; there are raw, jpeg" in refused(transfer(source, {"path": fresh(), "encoding": "webp"}))
    said = refused(transfer(source, {"path": fresh(), "encoding": {"name": "jpeg", "qality": 3}}))
    assert "unknown parameter of jpeg; there are: quality" in said
    said = refused(transfer(source, {"path": fresh(), "encoding": {"name": "jpeg", "quality": 300}}))
    assert "from 1 to 100" in said


def test_more_mips_than_there_can_be_says_how_many(source):
    said = refused(transfer(source, downsample={"mips": 9}))
    assert "downsample.mips is 9, and this volume gives 6" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"background": 300}, "background: 300 is not a value of uint8"),
        ({"destination": {"path": "mem://x", "compress": "gzip", "compress_level": 40}}, "40 is not a level of gzip"),
        ({"destination": "ftp://host/x"}, "no store for ftp://"),
        ({"destination": "zarr://x"}, "zarr volumes cannot be read"),
        ({"source": "file://"}, "the path is empty"),
        ({"destination": {"path": "mem://not-there", "mode": "update"}}, "there is no volume at mem://not-there"),
    ],
)
def test_values_that_do_not_fit_the_volume(source, keys, said):
    assert said in refused({**transfer(source), **keys})


def test_downsample_jobs_work_in_place(source):
    base = {"job": "downsample", "source": source}
    assert "needs downsample.mips" in refused(base)
    assert "remove destination" in refused({**base, "destination": fresh(), "downsample": {"mips": 1}})
    assert "only a transfer can translate" in refused({**base, "translate": [1, 0, 0], "downsample": {"mips": 1}})


def test_a_destination_is_needed(source):
    assert "destination: is missing" in refused({"job": "transfer", "source": source})


@pytest.mark.parametrize(("member", "value"), [("chunk_sizes", [[0, 64, 64]]), ("size", [0, 1, 1]), ("encoding", None)])
def test_a_source_whose_info_is_wrong_names_the_member(source, member, value):
    store = open_store(source)
    info = json.loads(store.get("info").data)
    info["scales"][0][member] = value
    store.put("info", Blob(json.dumps(info).encode()))
    assert f"scales[0].{member}" in refused(transfer(source))


def test_a_sharding_that_is_not_one_is_refused_with_a_word(source):
    store = open_store(source)
    info = json.loads(store.get("info").data)
    info["scales"][0]["sharding"] = {"@type": "neuroglancer_uint64_sharded_v1"}
    store.put("info", Blob(json.dumps(info).encode()))
    assert "sharding.preshift_bits is None" in refused(transfer(source))


def test_sharding_is_compared_with_what_is_there(source):
    spec = {"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "minishard_bits": 0, "shard_bits": 9}
    place = fresh()
    run(transfer(source, {"path": place, "sharding": spec}))
    there = read_scale(place).sharding
    for same in (spec, "auto", None):
        destination = {"path": place} if same is None else {"path": place, "sharding": same}
        assert plan(transfer(source, destination)).job.levels[0].scale.sharding == there
    assert "is sharded" in refused(transfer(source, {"path": place, "sharding": "none"}))
    assert "destination.sharding is" in refused(
        transfer(source, {"path": place, "sharding": {**spec, "shard_bits": 8}})
    )
    assert "gzip or none" in refused(transfer(source, {"path": fresh(), "sharding": "auto", "compress": "br"}))
    assert "is not sharded" in refused(transfer(place, {"path": source, "sharding": "auto"}))
    assert "hash is 'md5'" in refused(transfer(source, {"path": fresh(), "sharding": {**spec, "hash": "md5"}}))
