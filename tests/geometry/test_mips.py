"""Arithmetic between mips: the bounds of coarser scales, and boxes in another scale's voxels."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.geometry import Bbox, Vec, box_between_resolutions, coarser_bounds, coarser_resolution


@pytest.mark.parametrize(
    ("bounds", "factor", "coarser"),
    [
        (Bbox((0, 0, 0), (64, 64, 64)), (2, 2, 1), Bbox((0, 0, 0), (32, 32, 64))),
        # offset // factor and ceil(size / factor), as in CloudVolume
        (Bbox((10, 0, 0), (1010, 1001, 100)), (2, 2, 1), Bbox((5, 0, 0), (505, 501, 100))),
        (Bbox((11, -1, -3), (13, 2, 0)), (2, 2, 2), Bbox((5, -1, -2), (6, 1, 0))),
        (Bbox((7, 7, 7), (8, 8, 8)), (4, 4, 4), Bbox((1, 1, 1), (2, 2, 2))),
    ],
)
def test_known_coarser_bounds(bounds, factor, coarser):
    assert coarser_bounds(bounds, Vec(*factor)) == coarser


@given(
    st.tuples(*[st.integers(-50, 50)] * 3), st.tuples(*[st.integers(1, 20)] * 3), st.tuples(*[st.integers(1, 4)] * 3)
)
def test_coarse_cells_cover_all_voxels(offset, size, factor):
    # given the cells of the fine scale, counted from its offset
    cells = [len(range(0, n, f)) for n, f in zip(size, factor, strict=True)]
    # when the bounds of the coarse scale are computed
    coarser = coarser_bounds(Bbox.from_delta(offset, size), Vec(*factor))
    # then there is a voxel for each, from the offset of CloudVolume on
    assert coarser.size() == tuple(cells)
    assert coarser.minpt == tuple(o // f for o, f in zip(offset, factor, strict=True))


def test_coarser_resolution():
    assert coarser_resolution((4, 4, 40), Vec(2, 2, 1)) == (8, 8, 40)
    assert coarser_resolution((3.58, 3.58, 30.0), Vec(2, 2, 1)) == (7.16, 7.16, 30.0)


@pytest.mark.parametrize(
    ("box", "given_nm", "wanted_nm", "result"),
    [
        (Bbox((1, 0, 0), (3, 4, 5)), (8, 8, 40), (4, 4, 40), Bbox((2, 0, 0), (6, 8, 5))),
        (Bbox((1, 0, -1), (3, 4, 5)), (4, 4, 40), (8, 8, 80), Bbox((0, 0, -1), (2, 2, 3))),
        (Bbox((2**60, 0, 0), (2**60 + 1, 1, 1)), (8, 8, 40), (4, 4, 40), Bbox((2**61, 0, 0), (2**61 + 2, 2, 1))),
        (Bbox((0, 0, 0), (10, 10, 10)), (0.5, 0.5, 0.5), (0.25, 1.0, 0.5), Bbox((0, 0, 0), (20, 5, 10))),
    ],
)
def test_known_boxes_between_resolutions(box, given_nm, wanted_nm, result):
    assert box_between_resolutions(box, given_nm, wanted_nm) == result


@given(
    st.tuples(*[st.integers(-100, 100)] * 3),
    st.tuples(*[st.integers(1, 50)] * 3),
    st.tuples(*[st.sampled_from([1, 3, 4, 8, 16, 40])] * 3),
    st.tuples(*[st.sampled_from([1, 3, 4, 8, 16, 40])] * 3),
)
def test_box_between_resolutions_is_the_smallest_around(start, size, given_nm, wanted_nm):
    # when a box is expressed in the voxels of another resolution
    box = Bbox.from_delta(start, size)
    result = box_between_resolutions(box, given_nm, wanted_nm)
    # then it covers the same nanometres, and would not if it were a voxel smaller on any side
    for axis in range(3):
        low, high = box.minpt[axis] * given_nm[axis], box.maxpt[axis] * given_nm[axis]
        nm = wanted_nm[axis]
        assert result.minpt[axis] * nm <= low < (result.minpt[axis] + 1) * nm
        assert (result.maxpt[axis] - 1) * nm < high <= result.maxpt[axis] * nm


@given(st.tuples(*[st.integers(-1000, 1000)] * 3), st.tuples(*[st.integers(1, 50)] * 3))
def test_whole_ratios_go_there_and_back(start, size):
    box = Bbox.from_delta(start, size)
    finer = box_between_resolutions(box, (8, 8, 40), (4, 2, 40))
    assert finer.volume() == box.volume() * 8
    assert box_between_resolutions(finer, (4, 2, 40), (8, 8, 40)) == box


def test_fractional_resolutions():
    # given resolutions whose ratio is 2 to the last bit
    fine, coarse = (3.58, 3.58, 30.0), (7.16, 7.16, 30.0)
    assert Fraction(coarse[0]) / Fraction(fine[0]) == 2
    # then no voxel is lost or added by rounding
    box = Bbox((1, 2, 3), (1001, 2001, 3001))
    assert box_between_resolutions(box, coarse, fine) == Bbox((2, 4, 3), (2002, 4002, 3001))
    assert box_between_resolutions(box, fine, fine) == box
