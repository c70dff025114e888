"""Half-open boxes, against the sets of voxels that they stand for."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.geometry import Bbox, Vec

POINTS = st.tuples(*[st.integers(-4, 4)] * 3)
HUGE_POINTS = st.tuples(*[st.integers(-(2**66), 2**66)] * 3)


def boxes():
    """Small boxes, also empty and inside-out ones."""
    return st.builds(Bbox, POINTS, POINTS)


def voxels(box: Bbox) -> set[tuple[int, ...]]:
    return set(itertools.product(*(range(a, b) for a, b in zip(box.minpt, box.maxpt, strict=True))))


def test_known_box():
    # given the box of a chunk at the edge of a volume
    box = Bbox((64, 0, -8), (100, 64, 0))
    # then
    assert box.size() == (36, 64, 8)
    assert box.volume() == 36 * 64 * 8
    assert not box.empty()
    assert box == Bbox.from_delta((64, 0, -8), (36, 64, 8)) == Bbox.from_list([64, 0, -8, 100, 64, 0])
    assert box.to_list() == [64, 0, -8, 100, 64, 0]
    assert box + (1, 2, 3) == Bbox((65, 2, -5), (101, 66, 3))
    assert box - 64 == Bbox((0, -64, -72), (36, 0, -64))


def test_slices_cut_an_array():
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    assert (array[Bbox((1, 2, 3), (3, 5, 4)).to_slices()] == array[1:3, 2:5, 3:4]).all()


@given(boxes(), boxes())
def test_intersection_is_that_of_voxels(a, b):
    # given two boxes and the voxels in both
    common = voxels(a) & voxels(b)
    # then
    assert voxels(a.intersection(b)) == common
    assert a.intersects(b) == bool(common)
    assert a.intersection(b).volume() == len(common)


@given(boxes(), boxes())
def test_contains_is_subset_of_voxels(a, b):
    assert a.contains_bbox(b) == (voxels(b) <= voxels(a))


@given(boxes())
def test_volume_counts_voxels(box):
    assert box.volume() == len(voxels(box))
    assert box.empty() == (not voxels(box))
    assert min(box.size()) >= 0


@given(HUGE_POINTS, HUGE_POINTS)
def test_filename_round_trip(minpt, maxpt):
    # given any box, also with negative corners and beyond 64 bits
    box = Bbox(minpt, maxpt)
    # then its name says all of it, whatever folder and compression are around
    assert Bbox.from_filename(box.to_filename()) == box
    assert Bbox.from_filename(f"4_4_40/{box.to_filename()}.gz") == box


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("0-64_0-64_0-64", Bbox((0, 0, 0), (64, 64, 64))),
        ("-8--4_-1-0_5-6", Bbox((-8, -1, 5), (-4, 0, 6))),
        ("/a-b/8_8_40/0-1_0-1_0-1.zstd", Bbox((0, 0, 0), (1, 1, 1))),
    ],
)
def test_known_filenames(name, box):
    assert Bbox.from_filename(name) == box


@pytest.mark.parametrize(
    "name",
    ["", "info", "0-64_0-64", "0-64_0-64_0-64_0-64", "0_0_0", "0.5-1_0-1_0-1", "0-64_0-64_0-64/x", "x0-1_0-1_0-1"],
)
def test_other_filenames_are_refused(name):
    with pytest.raises(ValueError, match="not the name of a chunk"):
        Bbox.from_filename(name)


def test_corners_have_one_dimension():
    with pytest.raises(ValueError, match="dimension"):
        Bbox((0, 0, 0), (1, 1))


def test_equal_boxes_are_one_key():
    # given one box made in three ways
    made = [Bbox((0, 0, 0), (1, 2, 3)), Bbox.from_delta((0, 0, 0), (1, 2, 3)), Bbox(Vec(0, 0, 0), np.array([1, 2, 3]))]
    # then it is one member of a set, and its move is another
    assert len(set(made)) == 1
    assert made[0] + 1 not in set(made)


def test_cannot_be_changed():
    box = Bbox((0, 0, 0), (1, 1, 1))
    with pytest.raises(AttributeError):
        box.minpt = Vec(5, 5, 5)


def test_beyond_64_bits():
    box = Bbox.from_delta((2**63, 0, 0), 2**22)
    assert box.maxpt.x == 2**63 + 2**22
    assert box.volume() == 2**66


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_survives_copy_and_pickle(again):
    box = Bbox((0, 0, 0), (1, 2, 3))
    assert again(box) == box
