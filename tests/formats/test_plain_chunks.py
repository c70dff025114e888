"""Unsharded chunks: which file holds which voxels."""

import pytest

from cvbatch.errors import UnsupportedFormatError
from cvbatch.formats.precomputed import open_chunks, parse_info
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import Blob, open_store


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}")


def scale(**members):
    """A scale with odd sizes and an offset below zero."""
    document = {
        "type": "image",
        "data_type": "uint8",
        "num_channels": 1,
        "scales": [
            {
                "key": "4_4_40",
                "size": [100, 64, 30],
                "voxel_offset": [-10, 0, 5],
                "resolution": [4, 4, 40],
                "chunk_sizes": [[64, 64, 16], [128, 128, 128]],
                "encoding": "raw",
                **members,
            }
        ],
    }
    return parse_info(document, "mem://x").scale(0)


def test_files_are_named_after_their_voxels(store, tmp_path):
    # given all chunks of a scale, each with its index in it
    chunks = open_chunks(store, scale())
    for index in chunks.grid.indices(chunks.grid.bounds):
        chunks.write(index, Blob(repr(index).encode(), "gzip"))
    # then their names count from the offset and end at the edge
    assert sorted(path.name for path in (tmp_path / "4_4_40").iterdir()) == sorted(
        [
            "-10-54_0-64_5-21.gz",
            "54-90_0-64_5-21.gz",
            "-10-54_0-64_21-35.gz",
            "54-90_0-64_21-35.gz",
        ]
    )
    # and each is found again under its index
    for index in chunks.grid.indices(chunks.grid.bounds):
        assert chunks.read(index) == Blob(repr(index).encode(), "gzip")


def test_names_say_the_boxes_of_the_grid(store):
    chunks = open_chunks(store, scale())
    for index in chunks.grid.indices(chunks.grid.bounds):
        assert Bbox.from_filename(chunks.name(index)) == chunks.grid.box(index)
        assert chunks.name(index).startswith(f"{store.url}/4_4_40/")


def test_a_chunk_can_be_written_on_its_own(store):
    # given the first of several chunk sizes
    chunks = open_chunks(store, scale())
    assert chunks.write_cell(scale()) == chunks.grid.cell == Vec(64, 64, 16)


def test_absent_and_deleted(store):
    chunks = open_chunks(store, scale())
    index = Vec(1, 0, 1)
    assert chunks.read(index) is None
    assert not chunks.exists(index)
    assert not chunks.any()
    cell = chunks.cell(chunks.grid.bounds)
    cell.delete([index])
    cell.write(index, Blob(b"x"))
    cell.write(Vec(0, 0, 1), Blob(b"neighbour"))
    assert chunks.exists(index)
    assert chunks.any()
    cell.delete([index])
    cell.finish()
    assert chunks.read(index) is None
    assert not chunks.exists(index)
    assert chunks.read(Vec(0, 0, 1)) == Blob(b"neighbour")


def test_empty_files_are_not_absent(store, tmp_path):
    # given a file of no bytes, as a full disk leaves it
    (tmp_path / "4_4_40").mkdir()
    (tmp_path / "4_4_40/-10-54_0-64_5-21").touch()
    assert open_chunks(store, scale()).read(Vec(0, 0, 0)) == Blob(b"")


def test_keys_with_folders(store, tmp_path):
    # given a key as other programs choose it
    chunks = open_chunks(store, scale(key="aligned/v2/mip0"))
    chunks.write(Vec(0, 0, 0), Blob(b"x"))
    assert (tmp_path / "aligned/v2/mip0/-10-54_0-64_5-21").read_bytes() == b"x"


def test_a_sharding_that_is_not_one(store):
    with pytest.raises(UnsupportedFormatError, match="preshift_bits is None"):
        open_chunks(store, scale(sharding={"@type": "neuroglancer_uint64_sharded_v1"}))
