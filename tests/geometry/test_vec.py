"""Vectors: arithmetic element by element, exact at any size, with the hash and order of a tuple."""

import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.geometry import Vec, ceil_div

HUGE = st.integers(-(2**70), 2**70)
TRIPLES = st.tuples(HUGE, HUGE, HUGE)


def test_known_arithmetic():
    # given two vectors
    a, b = Vec(7, -7, 64), Vec(2, 2, 64)
    # then each operator works element by element, and division rounds down
    assert a + b == (9, -5, 128)
    assert a - b == (5, -9, 0)
    assert a * b == (14, -14, 4096)
    assert a // b == (3, -4, 1)
    assert a % b == (1, 1, 0)
    assert -a == (-7, 7, -64)
    assert a.minimum(b) == (2, -7, 64)
    assert a.maximum(b) == (7, 2, 64)
    assert Vec(4, 6, 5).lcm((6, 4, 1)) == (12, 12, 5)
    assert a.product() == 7 * -7 * 64


def test_integer_stands_for_all_axes():
    a = Vec(1, 2, 3)
    assert a + 1 == 1 + a == (2, 3, 4)
    assert a * 2 == 2 * a == (2, 4, 6)
    assert 10 - a == (9, 8, 7)
    assert (10, 20, 30) - a == (9, 18, 27)
    assert Vec.of(5) == (5, 5, 5)
    assert Vec.of(5, dimensions=2) == (5, 5)


@given(TRIPLES, TRIPLES, st.sampled_from([operator.add, operator.sub, operator.mul, min, max]))
def test_arithmetic_is_that_of_python_integers(a, b, function):
    # given numbers far beyond 64 bits
    methods = {min: Vec.minimum, max: Vec.maximum}
    # then nothing overflows
    assert methods.get(function, function)(Vec(*a), b) == tuple(map(function, a, b))


@given(TRIPLES, st.tuples(*[st.integers(1, 2**66)] * 3))
def test_division_rounds_down_and_ceil_div_up(a, b):
    # given a vector and positive divisors
    quotient, rest, above = Vec(*a) // b, Vec(*a) % b, ceil_div(Vec(*a), b)
    # then quotient and rest add up, the rest is not negative, and both roundings enclose the true value
    assert quotient * b + rest == a
    assert all(0 <= r < d for r, d in zip(rest, b, strict=True))
    assert all((u - 1) * d < n <= u * d for u, d, n in zip(above, b, a, strict=True))


def test_beyond_64_bits():
    assert Vec(2**63, 2**64, -(2**65)) + 1 == (2**63 + 1, 2**64 + 1, -(2**65) + 1)
    assert Vec(2**40, 2**40, 2**40).product() == 2**120


@given(TRIPLES)
def test_equal_vectors_are_one_key(a):
    # given the same numbers as a vector and as a tuple
    # then they are equal, hash alike and find the same entry
    assert Vec(*a) == a
    assert hash(Vec(*a)) == hash(Vec(*a)) == hash(a)
    assert {Vec(*a): "there"}[Vec(*a)] == "there"


def test_hash_tells_vectors_apart():
    vectors = {Vec(x, y, z) for x in range(10) for y in range(10) for z in range(10)}
    assert len(vectors) == 1000
    assert len({hash(v) for v in vectors}) > 990


def test_numpy_integers_become_python_ones():
    # given numbers of an array's shape or of numpy
    vec = Vec(*np.array([2**62, 1, 2], np.int64))
    # then they no longer overflow
    assert [type(n) for n in vec] == [int] * 3
    assert (vec * 4).x == 2**64
    assert vec + np.int64(1) == (2**62 + 1, 2, 3)


@pytest.mark.parametrize("value", [1.5, "1", None, np.float32(2)])
def test_what_is_not_an_integer_is_refused(value):
    with pytest.raises(TypeError):
        Vec(1, 2, value)
    with pytest.raises(TypeError):
        Vec(1, 2, 3) + (1, 2, value)


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match="zip"):
        Vec(1, 2, 3) + (1, 2)


def test_results_are_vectors():
    for value in (Vec(1, 2, 3) + 1, 1 - Vec(1, 2, 3), -Vec(1, 2, 3), Vec.zeros(), Vec.ones(), Vec.of([1, 2, 3])):
        assert type(value) is Vec


def test_text():
    assert repr(Vec(1, -2, 3)) == "Vec(1, -2, 3)"
    assert str(Vec(1, -2, 3)) == "(1, -2, 3)"


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_survives_copy_and_pickle(again):
    # given a vector that goes to another process or into a copy of what holds it
    vec = Vec(1, 2, 3)
    # then what arrives is the same
    assert again(vec) == vec
    assert type(again(vec)) is Vec
