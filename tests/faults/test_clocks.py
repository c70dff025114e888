"""Clocks that are set back or forward by an hour: no lock is lost that nobody took, and no task."""

import os
import shutil
from contextlib import suppress

import pytest
from volumes import noise, write_volume

from cvbatch import plan
from cvbatch.errors import JobBusyError, LockLostError
from cvbatch.events import LeaseLost
from cvbatch.metadata import Batch
from cvbatch.queues import Message
from cvbatch.queues.folder import FolderQueue
from cvbatch.runtime.lock import LEASE_SECONDS, acquire
from cvbatch.runtime.shared import Intake, JobQueue
from cvbatch.runtime.state import open_state
from cvbatch.storage import open_store

HOUR = 3600.0
NOW = 1_800_000_000.0


class Clock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def job(tmp_path):
    write_volume(f"file://{tmp_path}/a", noise((64, 64, 32)))
    return plan({"job": "transfer", "source": f"file://{tmp_path}/a", "destination": f"file://{tmp_path}/b"})


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_lock_that_nobody_took_is_kept(job, clock, jump):
    # given a lock, and a clock that is set between two of its renewals
    lock = acquire(job, clock=clock)
    clock.time += jump
    # then it is renewed, keeps others away from then on, and is released
    lock.renew()
    with pytest.raises(JobBusyError):
        acquire(job, {"queue": "fq://other"}, clock=clock)
    clock.time += LEASE_SECONDS - 1
    lock.renew()
    lock.release()
    acquire(job, clock=clock).release()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_lock_that_was_taken_meanwhile_is_noticed(job, clock, jump):
    # given a machine that was not heard of, and another one whose clock is ahead by an hour and takes the region
    other = Clock()
    other.time = NOW + LEASE_SECONDS + 1
    first = acquire(job, {"queue": "fq://one"}, clock=clock)
    second = acquire(job, {"queue": "fq://two"}, clock=other)
    # then, whatever the first one's clock is set to, it finds out before it writes more
    clock.time += jump
    with pytest.raises(LockLostError):
        first.renew()
    second.renew()
    second.release()


def queue_of(tmp_path, clock: Clock) -> FolderQueue:
    queue = FolderQueue(str(tmp_path / "queue"), now=clock)
    queue.create(30)
    return queue


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_lease_is_extended_after_the_clock_was_set(tmp_path, clock, jump):
    # given a message that is held
    queue = queue_of(tmp_path, clock)
    queue.send(["{}"])
    held = queue.receive(60)
    assert held is not None
    # when the clock is set before the heartbeat
    clock.time += jump
    # then the lease goes on, nobody else gets it, and it can be acknowledged
    assert held.extend(60)
    assert queue_of(tmp_path, clock).receive(60) is None
    assert held.ack()
    assert queue.counts().waiting == queue.counts().leased == 0


def test_a_clock_that_was_set_forward_gives_no_message_to_two(tmp_path, clock):
    # given a message that is held, and a clock that is set forward, so that another worker takes it
    queue = queue_of(tmp_path, clock)
    queue.send(["{}"])
    first = queue.receive(60)
    clock.time += HOUR
    second = queue_of(tmp_path, clock).receive(60)
    assert first is not None
    assert second is not None
    # then the first one is told, whatever the clock says next, and takes nothing away from the second
    clock.time -= HOUR
    assert not first.extend(60)
    assert not first.ack()
    assert second.ack()


def test_a_message_held_when_the_clock_was_set_back_comes_back_in_the_end(tmp_path, clock):
    # given a worker that died, with a lease by a clock that was an hour ahead
    clock.time += HOUR
    queue = queue_of(tmp_path, clock)
    queue.send(["{}"])
    assert queue.receive(60) is not None
    clock.time -= HOUR
    # then nobody has it until that hour is over, and then somebody does; an operator need not wait
    assert queue.receive(60) is None
    clock.time += HOUR + 62
    held = queue.receive(60)
    assert held is not None
    clock.time -= HOUR
    queue.release_all()
    assert queue.receive(60) is not None


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_all_tasks_of_a_job_are_handed_out_however_the_clock_is_set(tmp_path, job, clock, jump):
    # given a job in a queue, and a worker whose clock is set after each message
    queue = queue_of(tmp_path, clock)
    state = open_state(job.job, None)
    wanted = {Batch(job.job.id, 0, number, number + 1) for number in range(12)}
    queue.send([Message(batch, state.location).encode() for batch in wanted])
    told: list[object] = []
    mine = JobQueue(Intake(queue, 60.0, told.append), state, None, 3, lambda: False)
    found = set()
    for number in range(200):
        mine.intake._not_before = 0.0  # Pauses are of another clock.
        lease = mine.lease()
        if lease is not None:
            clock.time += jump if number % 2 else -jump
            assert lease.extend()
            found.add(lease.batch)
            lease.ack()
        if found == wanted:
            break
    # then none is lost
    assert found == wanted
    assert not any(isinstance(event, LeaseLost) for event in told)
    assert queue.counts().waiting == queue.counts().leased == 0


def test_the_life_of_a_process_does_not_depend_on_the_clock(job, clock):
    # given a lock of this process that has expired by a clock that was set forward
    lock = acquire(job, clock=clock)
    document = open_store(job.job.destination).get(lock.key)  # type: ignore[attr-defined]
    assert str(os.getpid()).encode() in bytes(document.data)
    clock.time += HOUR
    # then renewing it is all it takes
    lock.renew()
    lock.release()
    with suppress(FileNotFoundError):
        shutil.rmtree(job.job.destination.path)
