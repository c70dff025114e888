"""The arena: segments used again, never more bytes than the budget, all gone at the end."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segments import there

from cvbatch.errors import MemoryBudgetError, SharedMemoryError
from cvbatch.memory import Arena

PAGE = 4096


@pytest.fixture
def job():
    """The id of a job that no other test has."""
    return os.urandom(8).hex()


def test_segment_is_used_again(job):
    with Arena(job, 10 * PAGE) as arena:
        # given a segment that was given back
        first = arena.take(2 * PAGE)
        name = first.name
        arena.give(first)
        # then whoever needs as much or less gets the same
        for nbytes in (2 * PAGE, PAGE, 1):
            block = arena.take(nbytes)
            assert block is first
            assert block.name == name
            arena.give(block)


def test_smallest_that_fits_is_taken(job):
    with Arena(job, 100 * PAGE) as arena:
        blocks = [arena.take(n * PAGE) for n in (8, 2, 4)]
        for block in blocks:
            arena.give(block)
        assert arena.take(3 * PAGE) is blocks[2]
        assert arena.take(3 * PAGE) is blocks[0]


def test_segments_in_use_are_apart(job):
    with Arena(job, 10 * PAGE) as arena:
        one, two = arena.take(PAGE), arena.take(PAGE)
        assert one.name != two.name
        one.array(0, (PAGE,), np.dtype(np.uint8))[...] = 1
        two.array(0, (PAGE,), np.dtype(np.uint8))[...] = 2
        assert one.array(0, (PAGE,), np.dtype(np.uint8)).sum() == PAGE


def test_budget_is_kept(job):
    with Arena(job, 3 * PAGE) as arena:
        held = arena.take(2 * PAGE)
        # when more is asked for than is left
        with pytest.raises(MemoryBudgetError, match="12,288"):
            arena.take(PAGE + 1)
        # then what fits is still to be had
        arena.give(arena.take(PAGE))
        arena.give(held)
        assert arena.take(3 * PAGE).nbytes == 3 * PAGE


def test_more_than_the_budget_at_once(job):
    with Arena(job, PAGE) as arena, pytest.raises(MemoryBudgetError):
        arena.take(PAGE + 1)


def test_free_segments_make_room_for_a_larger_one(job):
    with Arena(job, 4 * PAGE) as arena:
        # given small segments that are free
        small = [arena.take(PAGE) for _ in range(3)]
        for block in small:
            arena.give(block)
        # when a large one is needed, then those that are too small for it go
        large = arena.take(3 * PAGE)
        assert large.nbytes == 3 * PAGE
        assert not any(there(block.name) for block in small)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 6 * PAGE), st.sampled_from(["give first", "give last"])), max_size=30))
def test_any_use_stays_within_the_budget(calls):
    # given any order of taking and giving
    budget = 8 * PAGE
    used, names = [], set()
    with Arena(os.urandom(8).hex(), budget) as arena:
        for call in calls:
            if isinstance(call, str):
                if used:
                    arena.give(used.pop(0 if call == "give first" else -1))
                continue
            in_use = sum(block.nbytes for block in used)
            try:
                block = arena.take(call)
            except MemoryBudgetError:
                # then it is refused only where it can't fit
                assert in_use + call > budget
                continue
            assert block.nbytes >= call
            assert all(block is not other for other in used)
            used.append(block)
            names.add((block.name, block.nbytes))
            # and never are there more bytes than the budget
            assert sum(nbytes for name, nbytes in names if there(name)) <= budget
    # and at the end nothing is left
    assert not any(there(name) for name, _ in names)


def test_close_unlinks_what_is_free_and_what_is_in_use(job):
    arena = Arena(job, 10 * PAGE)
    blocks = [arena.take(PAGE) for _ in range(3)]
    arena.give(blocks[0])
    names = [block.name for block in blocks]
    assert all(there(name) for name in names)
    arena.close()
    assert not any(there(name) for name in names)
    # when closed once more, then nothing happens
    arena.close()


def test_closed_also_after_an_error(job):
    with pytest.raises(KeyError), Arena(job, 10 * PAGE) as arena:
        name = arena.take(PAGE).name
        raise KeyError
    assert not there(name)


def test_no_handles_are_lost(job):
    before = len(os.listdir("/dev/fd"))
    with Arena(job, 10 * PAGE) as arena:
        for nbytes in (1, 2, 5, 9, 3):
            arena.give(arena.take(nbytes * PAGE))
    assert len(os.listdir("/dev/fd")) == before


def test_machine_without_room_leaves_the_arena_as_it_was(job, monkeypatch):
    # given a machine that has no room for a segment
    def full(*_args):
        raise OSError(28, "No space left on device")

    with Arena(job, 10 * PAGE) as arena:
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", full)
            patch.setattr(os, "ftruncate", full)
            with pytest.raises(SharedMemoryError):
                arena.take(10 * PAGE)
        # then the budget is not used up by it
        assert arena.take(10 * PAGE).nbytes == 10 * PAGE


def test_two_arenas_of_one_job_in_one_process(job):
    # given a program that works on one job twice at once, or again before the first is closed
    with Arena(job, PAGE) as one, Arena(job, PAGE) as two:
        # then each has segments of its own
        assert one.take(PAGE).name != two.take(PAGE).name


def test_threads_share_an_arena(job):
    # given threads that take and give, together less than the budget
    failures = []

    def work(number):
        try:
            for _ in range(50):
                block = arena.take(PAGE)
                array = block.array(0, (PAGE,), np.dtype(np.uint8))
                array[...] = number
                if not (array == number).all():
                    failures.append(f"thread {number} saw another's bytes")
                del array
                arena.give(block)
        except Exception as error:
            failures.append(repr(error))

    with Arena(job, 8 * PAGE) as arena:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
