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
    """Small boxes, also empty ones, from corners in any order."""
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
        ("4052:0:0-1_0-1_0-1.gz", Bbox((0, 0, 0), (1, 1, 1))),
    ],
)
def test_known_filenames(name, box):
    assert Bbox.from_filename(name) == box


@pytest.mark.parametrize(
    "name",
    [
        "",
        "info",
        "0-64_0-64",
        "0-64_0-64_0-64_0-64",
        "0_0_0",
        "0.5-1_0-1_0-1",
        "0-1_0-1_0-1.5",
        "0-64_0-64_0-64/x",
        "x0-1_0-1_0-1",
    ],
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
    for change in (
        lambda: setattr(box, "minpt", Vec(5, 5, 5)),
        lambda: setattr(box, "unit", "nm"),
        lambda: setattr(box, "name", "new"),
        lambda: delattr(box, "maxpt"),
    ):
        with pytest.raises(AttributeError, match="cannot be changed"):
            change()
    # and what moves it makes another one
    moved = box
    moved += 1
    assert box == Bbox((0, 0, 0), (1, 1, 1)) != moved


def test_beyond_64_bits():
    box = Bbox.from_delta((2**63, 0, 0), 2**22)
    assert box.maxpt.x == 2**63 + 2**22
    assert box.volume() == 2**66


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_survives_copy_and_pickle(again):
    for box in (Bbox((0, 0, 0), (1, 2, 3)), Bbox((0.5, 0, 0), (1, 2, 3), unit="um")):
        assert again(box) == box
        assert repr(again(box)) == repr(box)


# --- what CloudVolume's boxes can do, too


def test_corners_in_any_order():
    assert Bbox((10, 2, 3), (4, 5, -6)) == Bbox((4, 2, -6), (10, 5, 3))


@pytest.mark.parametrize("corners", [((0, 0, 0), (float("nan"), 1, 1)), ((float("nan"), 0, 0), (1, 1, 1))])
def test_corners_are_numbers(corners):
    with pytest.raises(ValueError, match="not numbers"):
        Bbox(*corners)


def test_one_float_makes_all_of_them_floats():
    box = Bbox((1, 2, 3), (4, 5, 6.5))
    assert {type(n) for n in box.to_list()} == {float}
    assert box.dtype == np.float64
    assert Bbox((1, 2, 3), (4, 5, 6)).dtype == np.int64
    assert Bbox((1, 2, 3), (4, 5, 2**64)).dtype == object
    # also when boxes are combined
    for made in (box.intersection(Bbox((2, 3, 4), (3, 4, 5))), Bbox((2, 3, 4), (3, 4, 5)).expand(box)):
        assert len({type(n) for n in made.to_list()}) == 1
    assert Bbox((1.5, 2.5, -3.5), (4, 5, 6), dtype=int) == Bbox((1, 2, -3), (4, 5, 6))
    assert {type(n) for n in Bbox((1, 2, 3), (4, 5, 6), dtype=np.float32).to_list()} == {float}


def test_units_tell_boxes_apart():
    box, physical = Bbox((0, 0, 0), (1, 2, 3)), Bbox((0, 0, 0), (1, 2, 3), unit="nm")
    assert box != physical
    assert not box.is_physical
    assert physical.is_physical
    assert repr(physical) == "Bbox((0, 0, 0), (1, 2, 3), unit='nm')"
    assert str(physical) == "(0, 0, 0)–(1, 2, 3) nm"
    with pytest.raises(ValueError, match="'miles' is not a unit"):
        Bbox((0, 0, 0), (1, 2, 3), unit="miles")


def test_units_are_kept():
    box = Bbox((1, 2, 3), (10, 20, 30), unit="um")
    made = [
        *(box + 1, box - 1, box * 2, box / 2, box // 2, box.adjust(1), box.shrink(1), box.transpose(), box.clone()),
        *(box.astype(float), box.expand_to_chunk_size(4), box.shrink_to_chunk_size(4), box.round_to_chunk_size(4)),
        *(box.intersection(box), box.expand(box), box.clamp(box), Bbox.deserialize(box.serialize())),
        Bbox.from_slices((slice(2, 3),), box),
    ]
    assert {each.unit for each in made} == {"um"}


def test_known_arithmetic():
    box = Bbox((1, 2, 3), (10, 20, 30))
    assert box * 2 == Bbox((2, 4, 6), (20, 40, 60))
    assert box * (1, 2, 0.5) == Bbox((1, 4, 1.5), (10, 40, 15))
    assert box / (2, 2, 1) == Bbox((0.5, 1, 3), (5, 10, 30))
    assert box // (2, 2, 1) == Bbox((0, 1, 3), (5, 10, 30))
    assert box * -1 == Bbox((-10, -20, -30), (-1, -2, -3))
    assert box + 0.5 == Bbox((1.5, 2.5, 3.5), (10.5, 20.5, 30.5))
    assert box + box == box * 2
    assert box - Bbox((1, 1, 1), (2, 2, 2)) == Bbox((0, 1, 2), (8, 18, 28))


def test_known_measures():
    box = Bbox((1, 2, 3), (4, 6, 8))
    assert (box.dx, box.dy, box.dz) == box.size() == box.size3() == (3, 4, 5)
    assert box.ndim == 3
    assert box.center() == (2.5, 4.0, 5.5)
    assert box.valid()
    assert Bbox((0, 0, 0, 0), (1, 2, 3, 4)).size3() == (1, 2, 3)
    assert Bbox((0.5, 0, 0), (1, 2, 3)).volume() == 3.0


@pytest.mark.parametrize(
    ("size", "subvoxel", "empty"),
    [
        ((1, 1, 1), False, False),
        ((0, 1, 1), True, True),
        ((0.5, 1, 1), True, False),
        ((2, 0.5, 1), False, False),
        ((1e-15, 1, 1), True, False),
    ],
)
def test_known_small_boxes(size, subvoxel, empty):
    box = Bbox((0, 0, 0), size)
    assert box.subvoxel() == subvoxel
    assert box.empty() == empty


def test_rounding_does_not_fill_an_empty_box():
    # given numbers that are the same but for rounding
    assert 0.1 + 0.2 != 0.3
    # then there is nothing between them
    assert Bbox((0.3, 0, 0), (0.1 + 0.2, 1, 1)).empty()
    assert not Bbox((2**60, 0, 0), (2**60 + 1, 1, 1)).empty()


@given(boxes(), boxes())
def test_expand_is_the_smallest_box_around(a, b):
    around = a.expand(b)
    assert around.contains_bbox(a)
    assert around.contains_bbox(b)
    for axis in range(3):
        assert around.minpt[axis] in (a.minpt[axis], b.minpt[axis])
        assert around.maxpt[axis] in (a.maxpt[axis], b.maxpt[axis])
    assert Bbox.expand(a, b, a) == around


@given(boxes(), boxes())
def test_clamp_leaves_what_is_in_both(a, b):
    clamped = a.clamp(b)
    assert voxels(clamped) == voxels(a) & voxels(b)
    assert np.all(b.minpt <= clamped.minpt)
    assert np.all(clamped.maxpt <= b.maxpt)


def test_both_spellings_of_what_takes_two_boxes():
    a, b = Bbox((0, 0, 0), (10, 10, 10)), Bbox((5, 5, 5), (20, 20, 20))
    assert Bbox.intersection(a, b) == a.intersection(b) == Bbox((5, 5, 5), (10, 10, 10))
    assert Bbox.intersects(a, b) is a.intersects(b) is True
    assert Bbox.clamp(a, b) == a.clamp(b)
    assert Bbox.near_edge(a, b, distance=5) is a.near_edge(b, 5) is True
    assert not a.near_edge(b, 4)
    assert not a.near_edge(b, (4, 4, 4))


def test_touching_boxes_overlap_without_a_common_voxel():
    a, b = Bbox((0, 0, 0), (4, 4, 4)), Bbox((4, 0, 0), (8, 4, 4))
    assert a.overlaps_bbox(b)
    assert not a.intersects(b)
    assert not a.overlaps_bbox(b + 1)


def test_contains_points_on_its_surface():
    box = Bbox((0, 0, 0), (4, 4, 4))
    for point in ((0, 0, 0), (4, 4, 4), Vec(1, 2, 3), np.array([0.5, 4, 0]), [1, 1, 1]):
        assert box.contains(point)
    assert not box.contains((4, 4, 4.5))
    assert not box.contains((-1, 0, 0))
    with pytest.raises(ValueError, match="dimension"):
        box.contains((1, 1))


SIZES = st.tuples(*[st.integers(1, 4)] * 3)


@given(boxes(), SIZES, POINTS)
def test_chunks_around_inside_and_near(box, size, offset):
    # when a box is moved onto the corners of chunks
    around = box.expand_to_chunk_size(size, offset)
    inside = box.shrink_to_chunk_size(size, offset)
    near = box.round_to_chunk_size(size, offset)
    # then it is on them, and nothing larger or smaller would do
    for made in (around, inside, near):
        assert made.is_chunk_aligned(size, offset)
    assert around.contains_bbox(box)
    assert box.contains_bbox(inside)
    assert np.all(box.minpt - around.minpt < size)
    assert np.all(around.maxpt - box.maxpt < size)
    assert np.all(abs(near.minpt - box.minpt) * 2 <= size)
    assert np.all(abs(near.maxpt - box.maxpt) * 2 <= size)
    assert box.is_chunk_aligned(size, offset) == (around == box)


@given(HUGE_POINTS)
def test_chunks_far_away(start):
    box = Bbox.from_delta(start, (100, 200, 300))
    around = box.expand_to_chunk_size((64, 64, 64))
    assert around.minpt % 64 == around.maxpt % 64 == (0, 0, 0)
    assert around.contains_bbox(box)
    assert box.num_chunks((64, 64, 64)) == 2 * 4 * 5


def test_adjusting():
    box = Bbox((10, 10, 10), (20, 20, 20))
    assert box.adjust((1, 0, -2)) == box.grow((1, 0, -2)) == Bbox((9, 10, 12), (21, 20, 18))
    assert box.shrink(5) == Bbox((15, 15, 15), (15, 15, 15))
    assert box.shrink(np.array([1, 0, 2])) == Bbox((11, 10, 12), (19, 20, 18))
    for too_much in (lambda: box.shrink(6), lambda: box.grow(-6), lambda: box.shrink((6, 0, 0))):
        with pytest.raises(ValueError, match="before it begins"):
            too_much()
    with pytest.raises(ValueError, match="positive amounts"):
        box.shrink((1, -1, 1))


@given(st.lists(HUGE_POINTS, min_size=1, max_size=5))
def test_box_of_points(points):
    # when the box around points is made
    box = Bbox.from_points(points)
    # then each has its voxel in the box, and every side has one
    assert box.minpt == tuple(map(min, zip(*points, strict=True)))
    assert box.maxpt == tuple(max(axis) + 1 for axis in zip(*points, strict=True))


def test_known_boxes_of_points():
    assert Bbox.from_points(np.array([[-1.5, 2, 3], [4, -5.5, 1.5]])) == Bbox((-2, -6, 1), (5, 3, 4))
    assert Bbox.from_points(np.array([[2**40, 1, 1]])) == Bbox((2**40, 1, 1), (2**40 + 1, 2, 2))
    for points in ([], np.zeros((0, 3)), np.zeros(3)):
        with pytest.raises(ValueError, match="one a row"):
            Bbox.from_points(points)


@given(HUGE_POINTS, HUGE_POINTS, st.sampled_from(["vx", "nm", "mm"]))
def test_dicts_and_json_round_trip(minpt, maxpt, unit):
    box = Bbox(minpt, maxpt, unit=unit)
    assert Bbox.from_dict(box.to_dict()) == box
    assert Bbox.deserialize(box.serialize()) == box


FLOATS = st.tuples(*[st.floats(-1e9, 1e9)] * 3)


@given(FLOATS, FLOATS)
def test_names_of_floats_round_trip(minpt, maxpt):
    box = Bbox(minpt, maxpt, dtype=float)
    assert Bbox.from_filename(box.to_filename(), dtype=float) == box
    assert Bbox.deserialize(box.serialize()) == box


def test_known_names_of_floats():
    box = Bbox((0.5, 0, 1e-7), (64.25, 64, 64))
    assert box.to_filename() == "0.5-64.25_0.0-64.0_0.0000001-64.0"
    assert box.to_filename(precision=1) == "0.5-64.2_0.0-64.0_0.0-64.0"
    assert Bbox.from_filename("a/0.5-64.25_0-64_0-64.gz", dtype=np.float32) == Bbox((0.5, 0, 0), (64.25, 64, 64))


def test_known_dicts():
    assert Bbox.from_dict({"minpt": [1, 2, 3], "maxpt": [4, 5, 6]}) == Bbox((1, 2, 3), (4, 5, 6))
    assert Bbox((1, 2, 3), (4, 5, 6)).to_dict() == {"minpt": [1, 2, 3], "maxpt": [4, 5, 6], "dtype": "int64"}
    assert Bbox.from_vec((4, 5, 6.5)) == Bbox((0, 0, 0), (4, 5, 6))
    assert Bbox.from_vec(Vec(4, 5, 6, 1)) == Bbox((0, 0, 0), (4, 5, 6))
    assert Bbox.from_vec((4, 5, 6.5), dtype=float) == Bbox((0, 0, 0), (4, 5, 6.5))
    assert Bbox((1, 2, 3), (4, 5, 6)).transpose() == Bbox((3, 2, 1), (6, 5, 4))
    assert Bbox((-1.5, 0, 0), (4.5, 5, 6)).to_slices() == (slice(-1, 4), slice(0, 5), slice(0, 6))


def test_equality_with_other_things():
    box = Bbox((0, 0, 0), (1, 1, 1))
    for other in (None, 5, "box", [0, 0, 0, 1, 1, 1]):
        assert box != other
    assert box == Bbox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert hash(box) == hash(Bbox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))


def test_boxes_of_different_dimension_are_not_compared():
    flat, solid = Bbox((0, 0), (1, 1)), Bbox((0, 0, 0), (1, 1, 1))
    for compare in (Bbox.intersection, Bbox.intersects, Bbox.contains_bbox, Bbox.expand, Bbox.clamp):
        with pytest.raises(ValueError, match=r"dimension|zip"):
            compare(solid, flat)
