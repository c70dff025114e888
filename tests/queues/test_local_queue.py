"""The queue in memory: the order in which batches come out, and when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbatch.metadata import Batch
from cvbatch.queues import LocalQueue


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def batch(number: int) -> Batch:
    return Batch("job", 0, number, number + 1)


def leased(queue) -> list[int]:
    """The numbers of all batches that can be had now."""
    return [lease.batch.start for lease in iter(queue.lease, None)]


def test_batches_come_in_the_order_in_which_they_were_inserted(clock):
    # given batches that are there at the beginning, and more later
    queue = LocalQueue([batch(5), batch(3)], clock)
    queue.insert([batch(9), batch(1)])
    queue.insert([batch(4)])
    # then
    assert leased(queue) == [5, 3, 9, 1, 4]
    assert queue.lease() is None


def test_lease_carries_its_batch(clock):
    given_batch = Batch("job", 2, 10, 20)
    assert LocalQueue([given_batch], clock).lease().batch == given_batch


def test_empty_queue(clock):
    queue = LocalQueue(now=clock)
    assert queue.lease() is None
    assert queue.seconds_to_next() is None


def test_each_batch_is_handed_out_once(clock):
    queue = LocalQueue([batch(1), batch(1)], clock)
    assert leased(queue) == [1, 1]
    clock.now += 1e9
    assert queue.lease() is None


def test_delayed_batch_waits_for_its_time(clock):
    # given one batch for later and one for now
    queue = LocalQueue(now=clock)
    queue.insert([batch(1)], delay_seconds=30)
    queue.insert([batch(2)])
    # then the one for now doesn't wait behind it
    assert queue.seconds_to_next() == 0
    assert leased(queue) == [2]
    # and the other comes when its time has come, not before
    assert queue.seconds_to_next() == 30
    clock.now += 29.5
    assert queue.lease() is None
    assert queue.seconds_to_next() == 0.5
    clock.now += 0.5
    assert queue.seconds_to_next() == 0
    assert leased(queue) == [1]
    assert queue.seconds_to_next() is None


def test_time_to_next_is_never_negative(clock):
    queue = LocalQueue(now=clock)
    queue.insert([batch(1)], delay_seconds=5)
    clock.now += 100
    assert queue.seconds_to_next() == 0


def test_delayed_batches_come_in_the_order_of_their_times(clock):
    queue = LocalQueue(now=clock)
    for number, delay in ((1, 30), (2, 10), (3, 20), (4, 10)):
        queue.insert([batch(number)], delay)
    clock.now += 20
    assert leased(queue) == [2, 4, 3]
    clock.now += 10
    assert leased(queue) == [1]


def test_batches_tried_again_do_not_hold_up_the_others(clock):
    # given a batch that failed and whose time has come, and others that were not tried yet
    queue = LocalQueue(now=clock)
    queue.insert([batch(1)], delay_seconds=10)
    clock.now += 20
    queue.insert([batch(2), batch(3)])
    # then those come first
    assert leased(queue) == [2, 3, 1]


def test_released_batch_is_to_be_had_at_once(clock):
    # given a batch that is handed back, while others wait
    queue = LocalQueue([batch(1), batch(2)], clock)
    queue.insert([batch(3)], delay_seconds=10)
    lease = queue.lease()
    lease.release()
    # then nobody has to wait for it, and it is not lost
    assert queue.seconds_to_next() == 0
    assert sorted(leased(queue)) == [1, 2]
    clock.now += 10
    assert leased(queue) == [3]


def test_acknowledged_batch_does_not_come_back(clock):
    queue = LocalQueue([batch(1)], clock)
    queue.lease().ack()
    clock.now += 1e9
    assert queue.lease() is None
    assert queue.seconds_to_next() is None


def test_batches_may_be_inserted_from_a_generator_and_none_at_all(clock):
    queue = LocalQueue((batch(n) for n in range(3)), clock)
    queue.insert(batch(n) for n in range(3, 5))
    queue.insert([])
    assert leased(queue) == [0, 1, 2, 3, 4]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("insert"), st.integers(0, 5)),
            st.tuples(st.just("wait"), st.integers(0, 3)),
            st.tuples(st.sampled_from(["ack", "release"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_no_batch_is_lost_or_doubled(calls):
    # given any order of calls, beside a list of what is waiting and from when on
    clock = Clock()
    queue, waiting = LocalQueue(now=clock), {}
    for number, (call, value) in enumerate(calls):
        if call == "insert":
            queue.insert([batch(number)], value)
            waiting[number] = clock.now + value
        elif call == "wait":
            clock.now += value
        elif any(due <= clock.now for due in waiting.values()):
            # then whoever asks gets one that is due
            lease = queue.lease()
            assert waiting.pop(lease.batch.start) <= clock.now
            getattr(lease, call)()
            if call == "release":
                waiting[lease.batch.start] = clock.now
        else:
            assert queue.lease() is None
        # and the time to the next one is known
        due = min(waiting.values(), default=None)
        assert queue.seconds_to_next() == (None if due is None else max(0, due - clock.now))
    clock.now += 10
    assert sorted(leased(queue)) == sorted(waiting)


def test_system_clock_is_the_default():
    queue = LocalQueue([batch(1)])
    queue.insert([batch(2)], delay_seconds=1e6)
    assert leased(queue) == [1]
    assert 0 < queue.seconds_to_next() <= 1e6
