"""Downsampling against arithmetic with Python's own integers and fractions."""

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbatch.geometry import Vec
from cvbatch.ops import METHODS, SPARSE_METHODS, downsample, kernel_for

INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
WAYS = [(name, False) for name in METHODS] + [(name, True) for name in SPARSE_METHODS]


def cells(voxels, factor):
    """The index of each output voxel, and the voxels of its cell in Fortran order."""
    shape = [-(-n // f) for n, f in zip(voxels.shape, factor, strict=False)]
    for index in itertools.product(*map(range, shape)):
        box = tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, factor, strict=True))
        for channel in range(voxels.shape[3]):
            yield (*index, channel), voxels[(*box, channel)].ravel(order="F").tolist()


def expected_mean(cell, dtype):
    if dtype.kind == "f":
        return sum(cell) / len(cell)
    return round(Fraction(sum(cell), len(cell)))  # Python rounds halves to even.


def expected_mode(cell):
    counts = Counter(cell)
    return max(cell, key=lambda value: counts[value])  # The first of the most frequent ones.


def expected(cell, method, sparse, dtype, background):
    if sparse:
        cell = [value for value in cell if value != background] or [background]
    if method == "average":
        return expected_mean(cell, dtype)
    return {"mode": expected_mode, "min": min, "max": max, "stride": lambda cell: cell[0]}[method](cell)


def by_hand(voxels, factor, method, sparse, background=0):
    shape = [-(-n // f) for n, f in zip(voxels.shape, factor, strict=False)]
    out = np.empty((*shape, voxels.shape[3]), voxels.dtype)
    for index, cell in cells(voxels, factor):
        out[index] = expected(cell, method, sparse, voxels.dtype, background)
    return out


@pytest.mark.parametrize(("method", "sparse"), WAYS)
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 9)] * 3),
    channels=st.integers(1, 4),
    factor=st.tuples(*[st.integers(1, 4)] * 3),
    dtype=st.sampled_from((*INTEGERS, "float32")),
    background=st.sampled_from([0, 1]),
    few=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_every_method_equals_arithmetic_by_hand(method, sparse, size, channels, factor, dtype, background, few, seed):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        # Sums of small whole numbers are exact in any order.
        voxels = rng.integers(-3, 4, (*size, channels)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        low, high = (0, 4) if few else (limits.min, limits.max)
        voxels = rng.integers(low, high, (*size, channels), dtype=dtype, endpoint=True)
    voxels = np.asfortranarray(voxels)
    found = downsample(voxels, Vec(*factor), kernel_for(method, sparse), background)
    assert found.dtype == voxels.dtype
    np.testing.assert_array_equal(found, by_hand(voxels, factor, method, sparse, background))


@pytest.mark.parametrize(("method", "sparse"), WAYS)
@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 30)] * 3),
    factor=st.tuples(*[st.integers(1, 4)] * 3),
    step=st.tuples(*[st.integers(1, 3)] * 3),
    dtype=st.sampled_from(["uint8", "uint64"]),
)
def test_pieces_give_the_same_as_the_whole(method, sparse, size, factor, step, dtype):
    # given a volume cut at multiples of the factor
    voxels = np.asfortranarray(np.random.default_rng(0).integers(0, 3, (*size, 1)).astype(dtype))
    kernel = kernel_for(method, sparse)
    whole = downsample(voxels, Vec(*factor), kernel)
    pieces = np.empty_like(whole)
    for start in itertools.product(*(range(0, n, f * s) for n, f, s in zip(size, factor, step, strict=True))):
        box = tuple(slice(a, a + f * s) for a, f, s in zip(start, factor, step, strict=True))
        made = downsample(voxels[box], Vec(*factor), kernel)
        pieces[tuple(slice(a // f, a // f + n) for a, f, n in zip(start, factor, made.shape, strict=False))] = made
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_means_of_64_bits_are_exact_at_the_extremes(dtype):
    limits = np.iinfo(dtype)
    voxels = np.array([limits.max, limits.max - 1, limits.max, limits.max], dtype).reshape(2, 2, 1, 1, order="F")
    assert downsample(voxels, Vec(2, 2, 1), kernel_for("average", False)).item() == limits.max
    voxels = np.array([limits.min, limits.min + 1], dtype).reshape(2, 1, 1, 1)
    expected = round(Fraction(2 * limits.min + 1, 2))
    assert downsample(voxels, Vec(2, 1, 1), kernel_for("average", False)).item() == expected


def test_nan_spreads_and_infinities_stay():
    nan, inf = np.nan, np.inf
    row = np.array([1, nan, 2, 4, inf, 5, inf, -inf], np.float32).reshape(8, 1, 1, 1)
    found = downsample(row, Vec(2, 1, 1), kernel_for("average", False)).ravel()
    np.testing.assert_array_equal(found, np.array([nan, 3, inf, nan], np.float32))


def test_a_tall_pyramid_neither_darkens_nor_brightens():
    voxels = np.asfortranarray(np.random.default_rng(0).integers(0, 256, (256, 256, 4, 1)).astype(np.uint8))
    level = voxels
    while level.shape[0] > 1:
        level = downsample(level, Vec(2, 2, 1), kernel_for("average", False))
    assert abs(level.mean() - voxels.mean()) < 1
    constant = np.full((64, 64, 64, 1), 77, np.uint8, order="F")
    for factor in (Vec(2, 2, 1), Vec(3, 3, 3), Vec(4, 1, 2)):
        assert (downsample(constant, factor, kernel_for("average", False)) == 77).all()


def test_background_never_wins_against_a_label():
    cell = np.array([0, 0, 0, 9], np.uint64).reshape(2, 2, 1, 1, order="F")
    assert downsample(cell, Vec(2, 2, 1), kernel_for("mode", False)).item() == 0
    assert downsample(cell, Vec(2, 2, 1), kernel_for("mode", True)).item() == 9


def test_ties_go_to_the_first_in_fortran_order():
    # x runs fastest: 5, 6 are the first row, 6, 5 the second
    cell = np.array([5, 6, 6, 5], np.uint32).reshape(2, 2, 1, 1, order="F")
    assert downsample(cell, Vec(2, 2, 1), kernel_for("mode", False)).item() == 5


def test_any_memory_order_and_a_given_array_will_do():
    voxels = np.random.default_rng(0).integers(0, 255, (13, 12, 11, 2)).astype(np.uint8)
    kernel = kernel_for("average", False)
    whole = downsample(np.asfortranarray(voxels), Vec(2, 2, 2), kernel)
    out = np.empty_like(whole)
    assert downsample(voxels, Vec(2, 2, 2), kernel, out=out) is out
    np.testing.assert_array_equal(out, whole)
    part = np.asfortranarray(np.pad(voxels, ((1, 3), (2, 2), (0, 1), (0, 0))))[1:14, 2:14, :11]
    np.testing.assert_array_equal(downsample(part, Vec(2, 2, 2), kernel), whole)
