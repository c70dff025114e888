"""A job whose tasks are done by workers elsewhere: send messages, watch receipts, go on to the next pass, finish.

Any number of coordinators may do this for one job, and be stopped and started anywhere: what they know is in the state.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cvbatch.errors import InterruptedRun, QueueError, UnsupportedProtocolError
from cvbatch.events import JobAdvanced, PassStarted, RunStarted
from cvbatch.geometry import Bbox
from cvbatch.metadata import Batch, Job, Task
from cvbatch.planner import Pass, Plan
from cvbatch.process.resident import peak_memory_bytes
from cvbatch.queues import Message, SharedQueue
from cvbatch.runtime.crew import is_inline
from cvbatch.runtime.execute import RunOptions, done_before, voxels_left
from cvbatch.runtime.lock import LEASE_SECONDS, Lock, acquire, lock_of
from cvbatch.runtime.passes import batches_left, boxes_made_by, planned, tasks_done, tasks_that_read
from cvbatch.runtime.prepare import prepare_destination
from cvbatch.runtime.ranges import Ranges
from cvbatch.runtime.report import FailedTask, Report, TaskTotals
from cvbatch.runtime.sign import sign
from cvbatch.runtime.state import Overview, State, open_state
from cvbatch.storage import open_store

WATCH_SECONDS = 2.0
TICK_SECONDS = 0.1
# Messages that are noted as sent together: of so many some may be sent twice when a coordinator is killed.
MESSAGES_TOGETHER = 100
# A queue that was empty so often in a row has lost what is missing.
SURELY_LOST = 4
NONE = Ranges(())


@dataclass
class Coordinator:
    """One job and the queue of its messages."""

    job: Job
    queue: SharedQueue
    options: RunOptions
    _begin: float = field(default_factory=time.monotonic)
    _next_renewal: float = 0.0
    _skipped: int = 0

    def enqueue(self) -> int:
        """Send what is left of the first pass that is not done; how many messages are new.

        Raises errors of :class:`~cvbatch.errors.InputError` before anything is changed.
        """
        state, plan = self._open()
        if tasks_done(plan, state.done()) == len(plan):
            return 0
        plan, _ = self._prepare(plan, state)
        for each, skipped in self._passes(plan, state):
            return self._send_new(plan, state, each, skipped)
        return 0

    def retry(self, tasks: Iterable[Task]) -> None:
        """Send tasks again that were given up, and are not any more."""
        state, _ = self._open()
        self._send(state, [Batch(task.job_id, task.pass_number, task.index, task.index + 1) for task in sorted(tasks)])

    def run(self) -> Report:
        """Bring the job to its end. Raises :class:`InterruptedRun` when stopped; workers go on then."""
        state, plan = self._open()
        before = tasks_done(plan, state.done())
        if before < len(plan):
            plan, lock = self._prepare(plan, state)
            self.options.tell(RunStarted(plan.job.id, len(plan), before, voxels_left(plan, state.done()), 0))
            for each, skipped in self._passes(plan, state):
                tasks = sum(map(len, self._left(plan, state.overview(), each, skipped)))
                self.options.tell(PassStarted(each.number, len(plan.passes), tasks))
                self._send_new(plan, state, each, skipped)
                self._watch(plan, state, each, skipped, lock)
        return self._report(plan, state, before)

    def _open(self) -> tuple[State, Plan]:
        if is_inline(self.job):
            raise UnsupportedProtocolError("mem:// is in one process; workers of a queue can't reach it")
        state = open_state(self.job, self.options.state)
        plan = planned(self.job, state, self.options.crew)
        done_before(plan, state)
        return state, plan

    def _prepare(self, plan: Plan, state: State) -> tuple[Plan, Lock]:
        """Lock the region and write what is written once; the plan that holds.

        The lock is shared by all who work on this job, and outlives a coordinator that is stopped.
        """
        self.queue.counts()  # To be told now rather than later that there is no such queue.
        lock = acquire(plan, self._owner, force=self.options.force)
        prepare_destination(plan)
        state.write_job(plan.job, plan.spec)
        # Where another start was faster, the job is cut as that one has cut it.
        return planned(self.job, state, self.options.crew), lock

    @property
    def _owner(self) -> dict[str, str]:
        """Who holds the region: all who work on this job by way of this queue."""
        return {"queue": self.queue.url, "job": self.job.id}

    def _passes(self, plan: Plan, state: State) -> Iterator[tuple[Pass, set[int]]]:
        """The passes that are not done, in turn, each with the tasks that would read what was not made."""
        not_made: list[Bbox] = []
        self._skipped = 0
        for each in plan.passes:
            found = state.overview()
            skipped = tasks_that_read(each, not_made, found.done)
            self._skipped += len(skipped)
            if self._left(plan, found, each, skipped):
                yield each, skipped
                found = state.overview()
            not_made = boxes_made_by(plan, each, skipped | _given_up(found, each))

    @staticmethod
    def _left(plan: Plan, found: Overview, each: Pass, skipped: set[int], sent: Ranges = NONE) -> list[Batch]:
        """What is neither done nor given up of a pass, nor in ``sent``."""
        done = found.done.get(each.number, NONE)
        known = {each.number: Ranges.of([*done.ranges, *sent.ranges])}
        return batches_left(plan, each, known, skipped | _given_up(found, each))

    def _send_new(self, plan: Plan, state: State, each: Pass, skipped: set[int]) -> int:
        """Send what was never sent; how many messages that is."""
        batches = self._left(plan, state.overview(), each, skipped, state.sent().get(each.number, NONE))
        self._send(state, batches)
        return len(batches)

    def _send(self, state: State, batches: Sequence[Batch]) -> None:
        attempts = self.options.retries.max_attempts
        for first in range(0, len(batches), MESSAGES_TOGETHER):
            some = batches[first : first + MESSAGES_TOGETHER]
            self.queue.send([Message(batch, state.location, attempts).encode() for batch in some])
            for run in _in_a_row(some):
                state.note_sent(run)

    def _watch(self, plan: Plan, state: State, each: Pass, skipped: set[int], lock: Lock) -> None:
        """Return when everything is done or given up. What the queue has lost is sent again."""
        empty, left = 0, list[Batch]()
        while True:
            found = state.overview()
            self.options.tell(JobAdvanced(tasks_done(plan, found.done), len(found.given_up)))
            before, left = left, self._left(plan, found, each, skipped)
            if not left:
                return
            self._renew(lock)
            empty = empty + 1 if self._is_empty() and left == before else 0
            if empty >= SURELY_LOST:
                self._send(state, left)
                empty = 0
            self._rest()

    def _is_empty(self) -> bool:
        """Whether the queue says that it has nothing; one that is out of order says nothing."""
        try:
            counts = self.queue.counts()
        except QueueError as error:
            if not error.retryable:
                raise
            return False
        return counts.waiting == counts.leased == 0

    def _renew(self, lock: Lock) -> None:
        if time.monotonic() >= self._next_renewal:
            self._next_renewal = time.monotonic() + LEASE_SECONDS / 5
            lock.renew()

    def _rest(self) -> None:
        """Wait until it is time to look again. Raises :class:`InterruptedRun` when asked to stop."""
        until = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < until:
            if self.options.stop.soon:
                raise InterruptedRun("stopped watching; workers go on, and so does whoever runs the same again")
            time.sleep(TICK_SECONDS)

    def _report(self, plan: Plan, state: State, before: int) -> Report:
        done = tasks_done(plan, state.done())
        if done == len(plan) and plan.job.check is None:
            # What workers of this machine that were killed have left; others are for theirs.
            open_store(plan.job.destination).sweep()
            sign(plan, state)
        lock_of(plan, self._owner).release()
        failures = state.failures()
        return Report(
            job=plan.job.id,
            tasks=TaskTotals(len(plan), done, len(failures), self._skipped, before),
            counts=state.counts(),
            seconds=time.monotonic() - self._begin,
            retries=sum(len(failure.errors) - 1 for failure in failures),
            peak_memory_bytes=peak_memory_bytes(),
            failures=tuple(FailedTask(each.task, each.box, each.errors[-1]) for each in failures),
            verdict=None if plan.job.check is None else state.verdict(),
        )


def _given_up(found: Overview, each: Pass) -> set[int]:
    """The tasks of a pass that were given up."""
    return {task.index for task in found.given_up if task.pass_number == each.number}


def _in_a_row(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Batches that follow each other, together."""
    run: list[Batch] = []
    for batch in batches:
        if run and run[-1].stop != batch.start:
            yield run
            run = []
        run.append(batch)
    if run:
        yield run
