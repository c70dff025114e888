"""What is done and what is missing: unions of ranges, against sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from cvbatch.runtime.ranges import Ranges, runs_of

RANGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8)


def numbers(ranges) -> set[int]:
    return {number for start, stop in ranges for number in range(start, stop)}


def test_known_ranges():
    # given receipts of batches, one of which was split, and one came twice
    done = Ranges.of([(5, 7), (0, 3), (3, 4), (0, 3), (6, 9)])
    assert done.ranges == ((0, 4), (5, 9))
    assert len(done) == 8
    assert done.missing(12) == [(4, 5), (9, 12)]


def test_nothing_done_and_all_done():
    assert Ranges.of([]).missing(5) == [(0, 5)]
    assert len(Ranges.of([])) == 0
    assert Ranges.of([(0, 5)]).missing(5) == []
    assert Ranges.of([]).missing(0) == []


@given(RANGES)
def test_union_is_that_of_the_numbers(ranges):
    # when ranges are united, empty and inside-out ones too
    union = Ranges.of(ranges)
    # then they hold the same numbers, each once, with gaps between them
    assert numbers(union.ranges) == numbers(ranges)
    assert len(union) == len(numbers(ranges))
    assert all(a[1] < b[0] for a, b in zip(union.ranges, union.ranges[1:], strict=False))
    assert all(start < stop for start, stop in union.ranges)


@given(RANGES, st.integers(0, 25))
def test_missing_is_the_rest(ranges, count):
    missing = Ranges.of(ranges).missing(count)
    assert numbers(missing) == set(range(count)) - numbers(ranges)
    assert all(start < stop for start, stop in missing)


@given(st.lists(st.integers(0, 30)))
def test_runs_hold_the_numbers(given_numbers):
    runs = runs_of(given_numbers)
    assert numbers(runs) == set(given_numbers)
    assert runs == list(Ranges.of(runs).ranges)


def test_a_million_numbers_are_few_ranges():
    assert Ranges.of((i, i + 1) for i in range(100_000)).ranges == ((0, 100_000),)
