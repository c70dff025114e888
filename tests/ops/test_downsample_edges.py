"""Downsampling where arithmetic is hard: the ends of the 64-bit range, halves, NaN, tall pyramids, ties."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbatch.geometry import Vec
from cvbatch.ops import LARGEST_FACTOR, METHODS, SPARSE_METHODS, downsample, kernel_for, method_for
from cvbatch.ops.downsample import SLAB_BYTES

AVERAGE, SPARSE_AVERAGE = kernel_for("average", sparse=False), kernel_for("average", sparse=True)
MODE, SPARSE_MODE = kernel_for("mode", sparse=False), kernel_for("mode", sparse=True)
FACTORS = [Vec(*f) for f in itertools.product(range(1, LARGEST_FACTOR + 1), repeat=3)]


def cell(values, dtype) -> np.ndarray:
    """One cell, a row along x."""
    return np.array(values, dtype).reshape(-1, 1, 1, 1)


def reduced(values, dtype, kernel, background=0):
    """What becomes of a row of one to four values."""
    return downsample(cell(values, dtype), Vec(len(values), 1, 1), kernel, background).item()


# --- means of integers


def near(dtype):
    """Numbers where 64-bit sums would overflow: near both ends, and near zero."""
    limits = np.iinfo(dtype)
    ends = [st.integers(limits.min, limits.min + 5), st.integers(limits.max - 5, limits.max)]
    return st.one_of(*ends, st.integers(max(limits.min, -5), 5), st.integers(limits.min, limits.max))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", ["uint64", "int64", "uint32", "int32", "uint8", "int8"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_means_are_exact_at_the_ends(dtype, sparse, data):
    # given a whole cell of numbers near the ends of their type
    factor = data.draw(st.sampled_from(FACTORS))
    values = data.draw(st.lists(near(dtype), min_size=factor.product(), max_size=factor.product()))
    background = data.draw(st.sampled_from([0, values[0]]))
    voxels = np.array(values, dtype).reshape((*factor, 1), order="F")
    # when they are averaged
    found = downsample(voxels, factor, SPARSE_AVERAGE if sparse else AVERAGE, background).item()
    # then it is their sum as Python has it, rounded once, half to even
    counted = [value for value in values if value != background] or [background] if sparse else values
    assert found == round(Fraction(sum(counted), len(counted)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("kernel", [AVERAGE, SPARSE_AVERAGE])
def test_halves_go_to_the_even_number(dtype, kernel):
    assert [reduced([n, n + 1], dtype, kernel) for n in range(1, 7)] == [2, 2, 4, 4, 6, 6]
    assert reduced([1, 1, 2, 2], dtype, kernel) == 2
    assert reduced([2, 2, 3, 3], dtype, kernel) == 2
    assert reduced([1, 1, 1, 3], dtype, kernel) == 2
    assert reduced([2, 3, 3, 2], dtype, kernel) == 2
    if dtype.startswith("i"):
        assert [reduced([-n, -n - 1], dtype, kernel) for n in range(1, 7)] == [-2, -2, -4, -4, -6, -6]


def test_every_cell_of_two_bytes():
    # given all pairs of uint8, through the path that adds neighbours as one number
    pairs = np.stack(np.meshgrid(np.arange(256), np.arange(256), indexing="ij")).astype(np.uint8)
    voxels = pairs.reshape(2, -1, 1, 1)
    found = downsample(np.asfortranarray(voxels), Vec(2, 1, 1), AVERAGE).ravel()
    # then each is the half-even mean
    expected = [round(Fraction(int(a) + int(b), 2)) for a, b in zip(*pairs.reshape(2, -1), strict=True)]
    assert found.tolist() == expected


# --- means of floats


@pytest.mark.parametrize("kernel", [AVERAGE, SPARSE_AVERAGE])
@settings(max_examples=150, deadline=None)
@given(values=st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=4))
def test_float_mean_is_a_float64_sum(kernel, values):
    # given any finite numbers, also of very different size
    counted = [value for value in values if value != 0] or [0.0] if kernel is SPARSE_AVERAGE else values
    found = reduced(values, "float32", kernel)
    # then the result is the exact mean, but for rounding in float64 and once to float32
    exact = Fraction(0)
    for value in counted:
        exact += Fraction(value)
    exact /= len(counted)
    error = abs(Fraction(found) - exact)
    largest = max(abs(value) for value in counted)
    assert error <= Fraction(float(np.spacing(np.float32(abs(found))))) / 2 + Fraction(largest) / 2**50


def test_float_sums_that_float32_can_not_hold():
    # given numbers whose sum as float32 would lose the small ones, or overflow
    assert reduced([2.0**25, 1.0, 1.0, -(2.0**25)], "float32", AVERAGE) == 0.5
    largest = float(np.finfo(np.float32).max)
    assert reduced([largest] * 4, "float32", AVERAGE) == largest
    assert reduced([largest] * 4, "float32", SPARSE_AVERAGE) == largest


@pytest.mark.parametrize("kernel", [AVERAGE, SPARSE_AVERAGE])
@pytest.mark.parametrize("place", range(8))
def test_one_nan_makes_its_cell_nan_and_no_other(kernel, place):
    # given two cells of ones with one NaN
    voxels = np.ones((4, 2, 2, 1), np.float32, order="F")
    voxels[place % 2, place // 2 % 2, place // 4] = np.nan
    found = downsample(voxels, Vec(2, 2, 2), kernel).ravel()
    # then
    assert math.isnan(found[0])
    assert found[1] == 1


@pytest.mark.parametrize("kernel", [AVERAGE, SPARSE_AVERAGE])
def test_infinities(kernel):
    assert reduced([1, math.inf], "float32", kernel) == math.inf
    assert reduced([-math.inf, 5], "float32", kernel) == -math.inf
    assert math.isnan(reduced([math.inf, -math.inf], "float32", kernel))


# --- sparse


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int16", "float32"])
def test_sparse_mean_leaves_background_out(dtype):
    assert reduced([0, 0, 0, 9], dtype, SPARSE_AVERAGE) == 9
    assert reduced([0, 4, 0, 8], dtype, SPARSE_AVERAGE) == 6
    assert reduced([0, 0, 0, 0], dtype, SPARSE_AVERAGE) == 0
    # and background need not be zero
    assert reduced([7, 0, 7, 4], dtype, SPARSE_AVERAGE, background=7) == 2
    assert reduced([7, 7], dtype, SPARSE_AVERAGE, background=7) == 7


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 3), min_size=64, max_size=64),
    factor=st.sampled_from(FACTORS),
    background=st.integers(0, 3),
)
def test_sparse_mode_is_background_only_where_all_is(values, factor, background):
    # given labels few enough that background is often the most frequent
    voxels = np.array(values, np.uint64).reshape((4, 4, 4, 1), order="F")
    found = downsample(voxels, factor, SPARSE_MODE, background)
    # then a cell is background only where it holds nothing else
    all_background = downsample((voxels != background).astype(np.uint8), factor, kernel_for("max", False)) == 0
    np.testing.assert_array_equal(found == background, all_background)


# --- mode


@pytest.mark.parametrize(
    ("values", "winner"),
    [
        ([5, 6], 5),
        ([6, 5], 6),
        ([1, 2, 3, 4], 1),
        ([4, 3, 3, 4], 4),
        ([1, 2, 2, 1], 1),
        ([1, 2, 2, 2], 2),
        ([9, 1, 1], 1),
        ([0, 0, 7, 7], 0),
    ],
)
def test_ties_go_to_the_first(values, winner):
    assert reduced(values, "uint64", MODE) == winner


def test_ties_run_along_x_then_y_then_z():
    # given a cell of eight labels that are all different
    voxels = np.arange(1, 9, dtype=np.uint32).reshape((2, 2, 2, 1), order="F")
    for axes in itertools.permutations(range(3)):
        turned = voxels.transpose(*axes, 3)
        assert downsample(turned, Vec(2, 2, 2), MODE).item() == turned[0, 0, 0, 0]
    # and one where two are there twice, the one with the smaller y first
    voxels = np.array([[[1, 2], [3, 4]], [[3, 5], [2, 6]]], np.uint32)[..., None]
    assert voxels.ravel(order="F").tolist() == [1, 3, 3, 2, 2, 5, 4, 6]
    assert downsample(voxels, Vec(2, 2, 2), MODE).item() == 3


def test_labels_that_differ_only_above_32_or_53_bits():
    for high in (2**32, 2**53, 2**63):
        assert reduced([1, high + 1, high + 1], "uint64", MODE) == high + 1
    assert reduced([2**53, 2**53 + 1, 2**53 + 1], "uint64", MODE) == 2**53 + 1


def test_channels_do_not_mix():
    # given channels that each hold one value
    voxels = np.broadcast_to(np.arange(4, dtype=np.uint16), (5, 5, 5, 4))
    for name, sparse in [(name, False) for name in METHODS] + [(name, True) for name in SPARSE_METHODS]:
        found = downsample(voxels, Vec(2, 3, 4), kernel_for(name, sparse))
        assert found.shape == (3, 2, 2, 4)
        np.testing.assert_array_equal(found, np.broadcast_to(np.arange(4), found.shape))


# --- the whole


@pytest.mark.parametrize(("name", "sparse"), [(n, False) for n in METHODS] + [(n, True) for n in SPARSE_METHODS])
@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int32", "float32"])
def test_more_than_one_slab_is_as_one(name, sparse, dtype):
    # given an array that is worked on in several slabs
    rng = np.random.default_rng(0)
    nz = SLAB_BYTES // (64 * 64 * np.dtype(dtype).itemsize) * 2 + 3
    voxels = np.asfortranarray(rng.integers(0, 4, (65, 63, nz, 1)).astype(dtype))
    kernel = kernel_for(name, sparse)
    whole = downsample(voxels, Vec(2, 2, 2), kernel)
    # then it is the same as pair of sections by pair of sections
    pairs = [downsample(voxels[:, :, z : z + 2], Vec(2, 2, 2), kernel) for z in range(0, nz, 2)]
    np.testing.assert_array_equal(whole, np.concatenate(pairs, axis=2))


@pytest.mark.parametrize("factor", [Vec(2, 2, 1), Vec(2, 2, 2), Vec(3, 3, 3), Vec(4, 3, 2)])
@pytest.mark.parametrize("kernel", [AVERAGE, SPARSE_AVERAGE])
def test_tall_pyramid_of_noise_keeps_its_mean(factor, kernel):
    # given noise, when it is halved until little is left
    voxels = np.asfortranarray(np.random.default_rng(0).integers(1, 256, (150, 150, 40, 1), dtype=np.uint8))
    level = voxels
    while level.size > 2000:
        level = downsample(level, factor, kernel)
    # then it is as bright as before: rounding up or down each time would add up to several grey values
    assert abs(level.mean() - voxels.mean()) < 0.5


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("factor", [Vec(2, 2, 1), Vec(3, 3, 3), Vec(4, 1, 3)])
def test_tall_pyramid_of_one_value_stays(value, factor):
    level = np.full((75, 53, 31, 2), value, np.uint8, order="F")
    while max(level.shape[:3]) > 1 and level.shape[:3] != downsample(level, factor, AVERAGE).shape[:3]:
        level = downsample(level, factor, AVERAGE)
        assert (level == value).all()


def test_halves_of_a_tall_pyramid_do_not_drift():
    # given a checkerboard of neighbours, whose every mean is a half
    for low in (100, 101):
        board = np.indices((64, 64, 1, 1)).sum(axis=0) % 2 + low
        level = downsample(np.asfortranarray(board.astype(np.uint8)), Vec(2, 2, 1), AVERAGE)
        assert set(level.ravel().tolist()) == {100 if low == 100 else 102}


@pytest.mark.parametrize("method", METHODS)
def test_factor_one_changes_nothing(method):
    voxels = np.random.default_rng(0).integers(0, 255, (5, 4, 3, 2), dtype=np.uint8)
    np.testing.assert_array_equal(downsample(voxels, Vec(1, 1, 1), kernel_for(method, False)), voxels)


@pytest.mark.parametrize(("name", "sparse"), [(n, False) for n in METHODS] + [(n, True) for n in SPARSE_METHODS])
def test_input_is_not_written_to(name, sparse):
    # given voxels that may not be written, as a decoder returns them
    for factor in (Vec(2, 2, 2), Vec(1, 1, 1), Vec(2, 1, 1), Vec(3, 2, 1)):
        for dtype in ("uint8", "uint64", "float32"):
            voxels = np.asfortranarray(np.random.default_rng(0).integers(0, 3, (5, 5, 5, 1)).astype(dtype))
            before = voxels.copy()
            voxels.flags.writeable = False
            found = downsample(voxels, factor, kernel_for(name, sparse))
            np.testing.assert_array_equal(voxels, before)
            assert not np.shares_memory(found, voxels)


def test_result_is_fortran_ordered():
    found = downsample(np.zeros((5, 6, 7, 2), np.uint16), Vec(2, 2, 2), AVERAGE)
    assert found.flags.f_contiguous
    assert found.shape == (3, 3, 4, 2)
    assert found.dtype == np.uint16


def test_only_means_and_modes_are_sparse():
    for name in ("min", "max", "stride"):
        with pytest.raises(KeyError):
            kernel_for(name, sparse=True)


def test_what_auto_means():
    assert method_for("image") == "average"
    assert method_for("segmentation") == "mode"
