"""Slices to boxes: against what numpy selects, and the errors for what it would take otherwise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.errors import OutOfBoundsError
from cvbatch.geometry import Bbox, Vec

BOUNDS = Bbox((-5, 0, 10), (100, 50, 60))
S = np.s_


@pytest.mark.parametrize(
    ("slices", "box"),
    [
        (S[:], BOUNDS),
        (S[...], BOUNDS),
        ((), BOUNDS),
        (S[:, :, :], BOUNDS),
        (S[1:4, 2:5, 20:30], Bbox((1, 2, 20), (4, 5, 30))),
        ([slice(1, 4), slice(2, 5)], Bbox((1, 2, 10), (4, 5, 60))),
        (S[1:, :5], Bbox((1, 0, 10), (100, 5, 60))),
        (S[1:4, ...], Bbox((1, 0, 10), (4, 50, 60))),
        (S[..., 20:30], Bbox((-5, 0, 20), (100, 50, 30))),
        (S[1:4, ..., 20:30], Bbox((1, 0, 20), (4, 50, 30))),
        (S[1:4, 2:5, 20:30, ...], Bbox((1, 2, 20), (4, 5, 30))),
        (S[5, 6, 20], Bbox((5, 6, 20), (6, 7, 21))),
        (S[np.int64(5), 6, np.uint8(20)], Bbox((5, 6, 20), (6, 7, 21))),
        # a slice of channels is not one of voxels
        (S[1:4, 2:5, 20:30, 0:1], Bbox((1, 2, 20), (4, 5, 30))),
        # negative numbers are coordinates
        (S[-3, -2:5, 20:30], Bbox((-3, -2, 20), (-2, 5, 30))),
        (S[-9:4, 0:70], Bbox((-9, 0, 10), (4, 70, 60))),
        # as with arrays, nothing is between a stop and a later start
        (S[9:1], Bbox((9, 0, 10), (9, 50, 60))),
    ],
)
def test_known_slices(slices, box):
    assert Bbox.from_slices(slices, context=BOUNDS) == Bbox.create(slices, context=BOUNDS) == box


@st.composite
def selections(draw):
    """Slices with open and given ends within the bounds."""
    items = []
    for low, high in zip(BOUNDS.minpt, BOUNDS.maxpt, strict=True):
        ends = st.none() | st.integers(low, high)
        items.append(draw(st.builds(slice, ends, ends, st.none() | st.integers(1, 3)) | st.integers(low, high - 1)))
    return tuple(items[: draw(st.integers(0, 3))])


@given(selections())
def test_select_the_voxels_that_numpy_selects(selection):
    # given an array that tells for each voxel where it is, and slices that count from its corner
    def moved(item, start):
        if isinstance(item, int):
            return slice(item - start, item - start + 1)
        return slice(*[n if n is None else n - start for n in (item.start, item.stop)], item.step)

    # when the slices are filled in for these bounds
    found = BOUNDS.reify_slices(selection)
    # then they select, axis by axis, what numpy selects
    for axis, each in enumerate(found):
        low, high = BOUNDS.minpt[axis], BOUNDS.maxpt[axis]
        given = moved(selection[axis], low) if axis < len(selection) else slice(None)
        assert np.arange(low, high)[given].tolist() == list(range(each.start, each.stop, each.step))


def test_without_context():
    assert Bbox.from_slices(S[1:4, 2:5, 3]) == Bbox((1, 2, 3), (4, 5, 4))
    assert Bbox.from_slices(S[2**63 : 2**64, 0:1, 0:1]).volume() == 2**63
    for slices in (S[1:, 2:5, 3:6], S[:4, 2:5, 3:6], S[1:4, ...]):
        with pytest.raises(ValueError, match="without a context"):
            Bbox.from_slices(slices)


@pytest.mark.parametrize("slices", [S[-6:4], S[0:4, 0:51], S[0, 0, 9], S[100], S[200:300], S[..., 0]])
def test_what_leaves_the_bounds_is_refused(slices):
    # given slices that leave the bounds
    for refusing in (
        lambda: Bbox.from_slices(slices, BOUNDS, bounded=True),
        lambda: Bbox.create(slices, BOUNDS, bounded=True),
        lambda: BOUNDS.reify_slices(slices),
    ):
        with pytest.raises(OutOfBoundsError, match=r"leaves the bounds \(-5, 0, 10\)–\(100, 50, 60\)"):
            refusing()
    # then they are cropped instead if that is wished
    cropped = Bbox.from_slices(slices, BOUNDS, bounded=True, autocrop=True)
    assert np.all(BOUNDS.minpt <= cropped.minpt)
    assert np.all(cropped.maxpt <= BOUNDS.maxpt)
    assert cropped == Bbox.from_slices(slices, BOUNDS).clamp(BOUNDS)


def test_error_names_the_request():
    with pytest.raises(OutOfBoundsError, match=r"\[-10:4, 2:5, 20:30\]"):
        Bbox.from_slices(S[-10:4, 2:5, 20:30], BOUNDS, bounded=True)


@pytest.mark.parametrize(
    ("slices", "error", "message"),
    [
        (S[1:9:-1], ValueError, "not positive"),
        (S[1:9:0], ValueError, "not positive"),
        (S[1:9:1.5], ValueError, "not an integer"),
        (S[1:9:2], ValueError, "a box has no step"),
        (S[..., 1:2, ...], ValueError, "more than one Ellipsis"),
        (S[1:2, 1:2, 1:2, 1:2, 1:2], ValueError, "5 slices for 3 axes"),
        (S[None, 1:2], TypeError, "not by None"),
        (S[1.5, 1:2], TypeError, r"not by 1\.5"),
        (S["a", 1:2], TypeError, "not by 'a'"),
        (S["a":"b"], TypeError, "a coordinate is a number"),
    ],
)
def test_what_selects_no_box(slices, error, message):
    with pytest.raises(error, match=message):
        Bbox.from_slices(slices, BOUNDS)


def test_steps_are_kept_where_there_is_no_box():
    assert BOUNDS.reify_slices(S[::2, 0:9:3]) == [slice(-5, 100, 2), slice(0, 9, 3), slice(10, 60, 1)]


@pytest.mark.parametrize(
    ("made_from", "box"),
    [
        (Bbox((1, 2, 20), (4, 5, 30)), Bbox((1, 2, 20), (4, 5, 30))),
        ("8_8_40/1-4_2-5_20-30.gz", Bbox((1, 2, 20), (4, 5, 30))),
        ({"minpt": [1, 2, 20], "maxpt": [4, 5, 30]}, Bbox((1, 2, 20), (4, 5, 30))),
        ([1, 2, 20, 4, 5, 30], Bbox((1, 2, 20), (4, 5, 30))),
        (np.array([1, 2, 20, 4, 5, 30]), Bbox((1, 2, 20), (4, 5, 30))),
        (Vec(4, 5, 30), Bbox((0, 0, 0), (4, 5, 30))),
        ((1, 2, 20), Bbox((1, 2, 20), (2, 3, 21))),
    ],
)
def test_create(made_from, box):
    assert Bbox.create(made_from) == box
    assert Bbox.create(made_from, BOUNDS) == box
    assert Bbox.create(made_from, BOUNDS, bounded=True, autocrop=True) == box.clamp(BOUNDS)


def test_create_refuses_what_leaves_the_bounds():
    for outside in (Vec(4, 5, 30), "0-64_0-64_0-64", [-6, 0, 10, 4, 5, 30], Bbox((500, 0, 10), (500, 50, 60))):
        with pytest.raises(OutOfBoundsError, match=r"leaves the bounds \(-5, 0, 10\)–\(100, 50, 60\)"):
            Bbox.create(outside, BOUNDS, bounded=True)
    assert Bbox.create(BOUNDS, BOUNDS, bounded=True) == BOUNDS


@pytest.mark.parametrize("thing", [None, 1.5, object(), [[1, 2, 3], [4, 5, 6]], (Vec(1, 2, 3), Vec(4, 5, 6))])
def test_create_refuses_what_is_no_box(thing):
    with pytest.raises(TypeError, match="voxels are selected by"):
        Bbox.create(thing, BOUNDS)


def test_unit_is_that_of_the_context():
    assert Bbox.from_slices(S[1:4], Bbox((0, 0, 0), (9, 9, 9), unit="nm")) == Bbox((1, 0, 0), (4, 9, 9), unit="nm")
