"""Vectors: arithmetic and order element by element, exact at any size, with the hash of a tuple."""

import copy
import operator
import pickle
from fractions import Fraction

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


@pytest.mark.parametrize("value", ["1", None, 1j, [1, 2], np.array([1, 2])])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(TypeError, match="a coordinate is a number"):
        Vec(1, 2, value)
    with pytest.raises(TypeError, match="a coordinate is a number"):
        Vec(1, 2, 3) + (1, 2, value)


def kinds(vec):
    return {type(n) for n in vec}


def test_floats_are_those_of_python():
    # given floats among integers, of numpy and of Python
    for vec in (Vec(1, 0.5, 2), Vec(1, np.float32(0.5), np.int16(2)), Vec(1, np.array(0.5), Fraction(2))):
        # then all are floats of 64 bits
        assert vec == (1.0, 0.5, 2.0)
        assert kinds(vec) == {float}
        assert vec.dtype == np.float64
    # and whole ones stay floats
    assert kinds(Vec(1.0, 2.0, 3.0)) == kinds(Vec(4, 2, 6) / 2) == kinds(Vec(1, 2, 3) * 2.0) == {float}
    assert kinds(Vec(1, 2, 3).maximum((0.5, 2.5, 0.5))) == kinds(Vec(1, 2, 3).minimum(2.5)) == {float}


def test_known_float_arithmetic():
    a = Vec(1, -2, 4)
    assert a / 2 == (0.5, -1.0, 2.0)
    assert a * 1.5 == 1.5 * a == (1.5, -3.0, 6.0)
    assert 8 / a == (8.0, -4.0, 2.0)
    assert a**2 == (1, 4, 16)
    assert 2**a == (2.0, 0.25, 16.0)
    assert abs(a) == +abs(a) == (1, 2, 4)
    assert 9 // a == (9, -5, 2)
    assert 9 % a == (0, -1, 1)
    assert a / (1, 2, 8) == (1.0, -1.0, 0.5)


def test_roots_of_negative_numbers_are_refused():
    with pytest.raises(TypeError, match="a coordinate is a number"):
        Vec(-8, 1, 1) ** 0.5


def test_dtype_chooses_integers_or_floats():
    assert Vec(1.7, -1.7, 3, dtype=int) == Vec(1.7, -1.7, 3).astype(np.uint8) == (1, -1, 3)
    assert kinds(Vec(1, 2, 3, dtype=np.float32)) == kinds(Vec(1, 2, 3).astype("float16")) == {float}
    assert Vec(1, 2, 3).dtype == np.int64
    assert Vec(2**63, 2, 3).dtype == object
    with pytest.raises(ValueError, match="integers or floats, not bool"):
        Vec(1, 2, 3).astype(bool)


def test_known_measures():
    assert Vec(3, 4, 12).length() == 13.0
    assert Vec(3, 4, 12).length2() == 169
    assert Vec(3, 4, 12).rectVolume() == 144
    assert Vec(3, 4, 12).dot((1, 10, 100)) == 1243
    assert Vec(1, 2, 3).dot(np.eye(3)).tolist() == [1, 2, 3]
    assert Vec(0, 0.0, 0).null()
    assert not Vec(0, 1e-300, 0).null()
    assert Vec.clamp(Vec(5, -5, 2), 0, Vec(3, 3, 3)) == (3, 0, 2)


def test_names_of_axes():
    vec = Vec(1, 2, 3, 4)
    assert (vec.x, vec.y, vec.z, vec.w) == (vec.r, vec.g, vec.b, vec.a) == vec
    with pytest.raises(IndexError):
        _ = Vec(1, 2, 3).w


def test_parts_are_vectors():
    vec = Vec(10, 20, 30)
    assert vec[1] == vec[-2] == vec[np.int64(1)] == 20
    for part, expected in ((vec[:2], (10, 20)), (vec[::-1], (30, 20, 10)), (vec[[2, 0]], (30, 10))):
        assert part == expected
        assert type(part) is Vec
    assert vec[np.array([True, False, True])] == (10, 30)


@given(TRIPLES, TRIPLES, st.sampled_from([operator.lt, operator.le, operator.gt, operator.ge]))
def test_order_is_that_of_each_element(a, b, function):
    # given numbers that may be beyond 64 bits
    # when vectors are compared with vectors, tuples and, mirrored, tuples with vectors
    expected = [function(m, n) for m, n in zip(a, b, strict=True)]
    # then an array says it for each axis
    for left, right in ((Vec(*a), Vec(*b)), (Vec(*a), b), (Vec(*a), list(b))):
        found = function(left, right)
        assert found.dtype == bool
        assert found.tolist() == expected
    assert (Vec(*a) < 0).tolist() == [n < 0 for n in a]


def test_comparison_with_bounds_is_not_lexicographic():
    assert np.any(Vec(5, -1, 0) < Vec(0, 0, 0))
    assert not np.all(Vec(1, 9, 9) <= Vec(2, 2, 2))
    assert (np.int64(2) < Vec(1, 2, 3)).tolist() == [False, False, True]
    assert (np.array([0, 2, 9]) < Vec(1, 2, 3)).tolist() == [True, False, False]


def test_equality_is_one_bool():
    vec = Vec(1, 2, 3)
    for same in ((1, 2, 3), [1, 2, 3], np.array([1, 2, 3]), Vec(1.0, 2.0, 3.0), np.array([1.0, 2, 3], np.float32)):
        assert (vec == same) is True
        assert (vec != same) is False
    for other in ((1, 2), [1, 2, 4], np.array([[1, 2, 3]]), None, "123"):
        assert (vec == other) is False
        assert (vec != other) is True


def test_left_of_an_array_it_makes_a_vector_and_right_of_it_an_array():
    vec, array = Vec(1, 2, 3), np.array([10, 20, 30])
    assert type(vec + array) is Vec
    assert vec + array == (11, 22, 33)
    assert type(array - vec) is np.ndarray
    assert (array - vec).tolist() == [9, 18, 27]
    for rows in (np.array([array, array]) + vec, vec + np.array([array, array])):
        assert rows.tolist() == [[11, 22, 33]] * 2


def test_arrays_are_changed_in_place():
    points = alias = np.array([[0, 0, 0], [1, 1, 1]])
    points += Vec(1, 2, 3)
    assert alias.tolist() == [[1, 2, 3], [2, 3, 4]]


@pytest.mark.parametrize("number", [np.int64(2**62), np.uint8(2), np.float64(0.5), np.float32(0.5)])
def test_numbers_of_numpy_on_either_side(number):
    # given a number of numpy, and the same of Python
    vec, plain = Vec(4, 5, 6), number.item()
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod):
        # then the results are vectors, and the same
        for found, expected in ((function(vec, number), function(vec, plain)), (number - vec, plain - vec)):
            assert type(found) is Vec
            assert found == expected
            assert kinds(found) == kinds(expected)


def test_functions_of_numpy():
    vec = Vec(3, 1, 2)
    assert np.array(vec).dtype == np.int64
    assert np.asarray(vec, dtype=np.float32).tolist() == [3, 1, 2]
    assert np.zeros(vec).shape == (3, 1, 2)
    assert np.minimum(vec, 2).tolist() == [2, 1, 2]
    assert np.ceil(vec / 2).tolist() == [2, 1, 1]
    assert (np.max(vec), np.min(vec), np.sum(vec), np.prod(vec)) == (3, 1, 6, 6)
    assert (vec.max(), vec.min(), vec.sum(), vec.prod()) == (3, 1, 6, 6)
    assert np.sum(vec, dtype=np.uint8).dtype == np.uint8
    assert (vec.shape, vec.ndim, vec.size, vec.tolist()) == ((3,), 1, 3, [3, 1, 2])
    with pytest.raises(ValueError, match="copied"):
        np.array(vec, copy=False)


def test_what_else_arrays_can_do_short_of_changing():
    vec = Vec(3, 1, 2)
    assert (vec.mean(), vec.argmax(), vec.any(), vec.all()) == (2.0, 0, True, True)
    assert vec.reshape(3, 1).tolist() == [[3], [1], [2]]
    assert vec @ (1, 10, 100) == 213
    assert (np.eye(3) @ vec).tolist() == [3, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        vec.sort()
    with pytest.raises(AttributeError):
        _ = vec.q
    assert vec == (3, 1, 2)


def test_numpy_gets_exact_integers():
    # given integers of which numpy would make floats
    vec = Vec(2**63, -1, 2**70)
    # then an array of them is as exact
    assert np.array(vec).tolist() == [2**63, -1, 2**70]
    assert np.prod(Vec(2**40, 2**40, 2**40)) == 2**120


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match="different dimension"):
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


def test_cannot_be_changed():
    vec = Vec(1, 2, 3)
    with pytest.raises(TypeError):
        vec[0] = 5
    with pytest.raises(AttributeError):
        vec.x = 5
    assert vec.clone() == vec


def test_equal_to_one_number_is_asked_of_each_element():
    vec = Vec(0, 4, 0)
    assert (vec == 0).tolist() == [True, False, True]
    assert (vec != 0).tolist() == [False, True, False]
    assert np.any(vec == np.int64(4))
    assert not np.all(vec == 0.0)
