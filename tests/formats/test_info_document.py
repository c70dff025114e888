"""``info``: what is read, what is kept, and what is said of a bad one."""

import copy
import json

import pytest

from cvbatch.codecs import byte_codec
from cvbatch.errors import InfoUnavailableError, ScaleUnavailableError
from cvbatch.formats.precomputed import info_to_json, parse_info, read_info, write_info
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import Blob, open_store

URL = "mem://em"


def document(**scale_members):
    """An info as CloudVolume writes it, with members that cvbatch has no use for."""
    scale = {
        "key": "4_4_40",
        "size": [1000, 1001, 100],
        "voxel_offset": [10, 0, -5],
        "resolution": [4, 4, 40],
        "chunk_sizes": [[64, 64, 64], [128, 128, 16]],
        "encoding": "jpeg",
        "jpeg_quality": 90,
        "hidden": False,
        **scale_members,
    }
    return {
        "@type": "neuroglancer_multiscale_volume",
        "type": "image",
        "data_type": "uint8",
        "num_channels": 1,
        "scales": [scale, {**scale, "key": "8_8_40", "size": [500, 501, 100], "resolution": [8.5, 8.5, 40.0]}],
        "mesh": "mesh_mip_2",
        "skeletons": "skel",
        "segment_properties": {"nested": [1, {"deep": None}]},
    }


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}")


def test_known_info():
    # given a document, when it is parsed
    info = parse_info(document(), URL)
    # then
    assert (info.voxel.layer_type, info.voxel.data_type, info.voxel.channels) == ("image", "uint8", 1)
    scale = info.scale(0)
    assert scale.key == "4_4_40"
    assert scale.bounds == Bbox((10, 0, -5), (1010, 1001, 95))
    assert scale.resolution == (4, 4, 40)
    assert scale.chunk_size == Vec(64, 64, 64)
    assert scale.chunk_sizes == (Vec(64, 64, 64), Vec(128, 128, 16))
    assert scale.encoding == "jpeg"
    assert scale.other == {"jpeg_quality": 90, "hidden": False}
    assert info.mip_at((8.5, 8.5, 40.0)) == 1
    assert info.mip_at((16, 16, 40)) is None


def test_mips_that_there_are_not():
    info = parse_info(document(), URL)
    for mip in (2, -1):
        with pytest.raises(ScaleUnavailableError, match=r"0 \(4 × 4 × 40 nm\), 1 \(8.5 × 8.5 × 40 nm\)"):
            info.scale(mip)


def test_document_survives_the_round_trip():
    # given members at both levels that no field here holds
    given = document(sharding={"@type": "neuroglancer_uint64_sharded_v1", "minishard_bits": 3})
    # then all come out again, as they were
    assert info_to_json(parse_info(given, URL)) == given


def test_parsing_leaves_the_document_alone():
    given = document()
    before = copy.deepcopy(given)
    parse_info(given, URL)
    assert given == before


def test_numbers_keep_their_kind():
    # given whole and fractional resolutions, sizes beyond 64 bits, and offsets below zero
    given = document(resolution=[4, 4.0, 0.5], size=[2**70, 1, 1], voxel_offset=[-(2**70), 0, 0])
    again = json.dumps(info_to_json(parse_info(given, URL)))
    assert "[4, 4.0, 0.5]" in again
    assert str(2**70) in again


def test_offset_is_zero_where_there_is_none():
    given = document()
    del given["scales"][0]["voxel_offset"]
    assert parse_info(given, URL).scale(0).voxel_offset == (0, 0, 0)


def test_no_sharding_may_be_said_with_null():
    assert parse_info(document(sharding=None), URL).scale(0).sharding is None


def test_kinds_are_read_in_any_case():
    given = {**document(), "type": "SEGMENTATION", "data_type": "UINT64"}
    info = parse_info(given, URL)
    assert (info.voxel.layer_type, info.voxel.data_type) == ("segmentation", "uint64")


def test_written_info_is_read_again(store):
    info = parse_info(document(), URL)
    write_info(store, info)
    assert read_info(store) == info


def test_written_info_is_readable_json(store, tmp_path):
    write_info(store, parse_info(document(), URL))
    text = (tmp_path / "info").read_text()
    assert json.loads(text) == document()
    assert text.count("\n") > 10


def test_absent_info_is_none(store):
    assert read_info(store) is None


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_compressed_info(store, name):
    codec = byte_codec(name, None, "image", "raw")
    store.put("info", Blob(codec.compress(json.dumps(document()).encode()), codec.encoding))
    assert read_info(store) == parse_info(document(), URL)


def without(*path):
    def change(given):
        target = given
        for part in path[:-1]:
            target = target[part]
        del target[path[-1]]

    return change


def having(value, *path):
    def change(given):
        target = given
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


TOP = ["type", "data_type", "num_channels", "scales"]
SCALE = ["key", "size", "resolution", "chunk_sizes", "encoding"]
NAN, INF = float("nan"), float("inf")

WRONG = [
    *((without(name), name) for name in TOP),
    *((without("scales", 1, name), rf"scales\[1\]\.{name}") for name in SCALE),
    *((having(value, name), name) for name in TOP for value in (None, 3.5, {}, True)),
    *((having(value, "scales", 1, name), rf"scales\[1\]\.{name}") for name in SCALE for value in (None, 7, {}, True)),
    (having([], "scales"), "scales"),
    (having([5], "scales"), r"scales\[0\]"),
    (having([[]], "scales"), r"scales\[0\]"),
    (having("photo", "type"), "type"),
    (having("float64", "data_type"), "data_type"),
    (having("object", "data_type"), "data_type"),
    (having(0, "num_channels"), "num_channels"),
    (having(-1, "num_channels"), "num_channels"),
    (having("1", "num_channels"), "num_channels"),
    (having([], "scales", 0, "chunk_sizes"), "chunk_sizes"),
    (having([0, 64, 64], "scales", 0, "chunk_sizes", 1), r"scales\[0\]\.chunk_sizes\[1\]"),
    (having([64, 64], "scales", 0, "chunk_sizes", 0), r"chunk_sizes\[0\]"),
    (having([64, 64, -1], "scales", 0, "chunk_sizes", 0), r"chunk_sizes\[0\]"),
    (having([64, 64, 64.0], "scales", 0, "chunk_sizes", 0), r"chunk_sizes\[0\]"),
    (having([64, 64, True], "scales", 0, "chunk_sizes", 0), r"chunk_sizes\[0\]"),
    (having(64, "scales", 0, "chunk_sizes", 0), r"chunk_sizes\[0\]"),
    (having([0, 1, 1], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1, 1, 1], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1, True], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1, "1"], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1, 1.5], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([1, 1, NAN], "scales", 1, "size"), r"scales\[1\]\.size"),
    (having([0, 0], "scales", 1, "voxel_offset"), "voxel_offset"),
    (having([0, 0, 0.5], "scales", 1, "voxel_offset"), "voxel_offset"),
    (having(None, "scales", 1, "voxel_offset"), "voxel_offset"),
    (having([4, 4, NAN], "scales", 0, "resolution"), "resolution"),
    (having([4, 4, INF], "scales", 0, "resolution"), "resolution"),
    (having([4, 4, 0], "scales", 0, "resolution"), "resolution"),
    (having([4, -4, 40], "scales", 0, "resolution"), "resolution"),
    (having([4, 4], "scales", 0, "resolution"), "resolution"),
    (having([4, 4, "40"], "scales", 0, "resolution"), "resolution"),
    (having([4, 4, True], "scales", 0, "resolution"), "resolution"),
    (having([4, 4, 10**400], "scales", 0, "resolution"), "resolution"),
    (having([1], "scales", 0, "sharding"), "sharding"),
    (having("auto", "scales", 0, "sharding"), "sharding"),
]


@pytest.mark.parametrize(("change", "member"), WRONG)
def test_wrong_member_is_named(change, member):
    # given a document with one thing wrong
    given = document()
    change(given)
    # then the error says where, of which volume
    with pytest.raises(InfoUnavailableError, match=member) as caught:
        parse_info(given, URL)
    assert str(caught.value).startswith(f"{URL}/info: ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("given", [None, [], "info", 5, True])
def test_document_that_is_no_object(given):
    with pytest.raises(InfoUnavailableError, match="object"):
        parse_info(given, URL)


def test_long_values_are_cut_in_the_message():
    given = {**document(), "num_channels": "x" * 100_000}
    with pytest.raises(InfoUnavailableError) as caught:
        parse_info(given, URL)
    assert len(str(caught.value)) < 300


BYTES = {
    "nothing": b"",
    "text": b"<html>not found</html>",
    "cut short": json.dumps(document()).encode()[:-1],
    "two documents": json.dumps(document()).encode() * 2,
    "not a text": b"\xff\xfe\xfd\x80",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "endless number": b'{"num_channels": ' + b"1" * 10_000 + b"}",
}


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_that_are_no_json(store, kind):
    store.put("info", Blob(BYTES[kind]))
    with pytest.raises(InfoUnavailableError) as caught:
        read_info(store)
    # then the file is named, and what was wrong with it kept
    assert f"{store.url}/info" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_json_with_nan(store):
    # given what Python's json writes, and JSON doesn't have
    given = json.dumps(document(resolution=[NAN, 4, 40]))
    store.put("info", Blob(given.encode()))
    with pytest.raises(InfoUnavailableError, match="resolution"):
        read_info(store)


def test_compressed_info_that_is_damaged(store):
    store.put("info", Blob(b"not gzip at all", "gzip"))
    with pytest.raises(InfoUnavailableError, match="info"):
        read_info(store)


def test_info_with_a_byte_order_mark(store):
    # given a file saved by an editor on Windows
    store.put("info", Blob(b"\xef\xbb\xbf" + json.dumps(document()).encode()))
    assert read_info(store) == parse_info(document(), URL)
