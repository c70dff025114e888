"""A worker of a cluster: takes messages from a queue, whatever their jobs, until it should end."""

from __future__ import annotations

import math
import posixpath
import time
from dataclasses import dataclass, field, replace

from cvbatch.errors import CvbatchError, InterruptedRun, StateError, UnsupportedProtocolError
from cvbatch.events import RunStarted, Subscriber, TaskDone, ignore
from cvbatch.memory import sweep_segments
from cvbatch.metadata import Job
from cvbatch.planner import Plan
from cvbatch.process.nursery import Nursery
from cvbatch.queues import SharedQueue
from cvbatch.runtime.crew import hired, is_inline, supervising
from cvbatch.runtime.execute import check_room
from cvbatch.runtime.lock import lock_of
from cvbatch.runtime.passes import check_keys, tasks_done, tasks_to_come
from cvbatch.runtime.prepare import check_destination
from cvbatch.runtime.shared import Intake, JobQueue, SharedLease
from cvbatch.runtime.state import State
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.supervisor import Retries, Surroundings
from cvbatch.storage import open_store

# Leases are extended well before they end.
BEATS_A_LEASE = 3
# After so many questions in a row an empty queue is taken for empty; one answer of a service may be wrong.
SURELY_EMPTY = 3
DONE_EVERY_SECONDS = 5.0
TICK_SECONDS = 0.2


@dataclass(frozen=True)
class WorkOptions:
    """How a worker works, and when it ends: all limits that are set count.

    A process that has more than ``max_rss`` bytes after a task is replaced.
    """

    processes: int
    lease_seconds: float = 300.0
    grace_seconds: float = 60.0
    exit_when_empty: bool = False
    exit_when_done: bool = False
    max_tasks: int | None = None
    max_seconds: float = math.inf
    max_rss: float = math.inf
    allow: tuple[str, ...] = ()
    tell: Subscriber = ignore
    stop: StopFlag = field(default_factory=StopFlag)


@dataclass
class WorkSummary:
    """What a worker has done."""

    tasks: int = 0
    failed: int = 0
    jobs: list[str] = field(default_factory=list)


def work(queue: SharedQueue, options: WorkOptions) -> WorkSummary:
    """Work until one of the limits is reached, or until stopped."""
    return _Worker(queue, options).run()


def _places(job: Job) -> list[str]:
    """The URLs that a job touches: its volumes, and the scales in them, whose keys may lead elsewhere."""
    scales = [(job.source.location, job.source.scale.key)]
    scales += [(job.destination, level.scale.key) for level in job.levels]
    followed = [replace(place, path=posixpath.normpath(f"{place.path}/{key}")) for place, key in scales]
    return [job.source.location.url, job.destination.url, *(place.url for place in followed)]


class _Worker:
    def __init__(self, queue: SharedQueue, options: WorkOptions) -> None:
        self._options = options
        self._intake = Intake(queue, options.lease_seconds, options.tell)
        self._summary = WorkSummary()
        self._begin = time.monotonic()
        self._asked_whether_done = 0.0

    def run(self) -> WorkSummary:
        sweep_segments()
        lease: SharedLease | None = None
        while not self._options.stop.soon:
            lease = lease or self._intake.take()
            if lease is not None:
                lease = self._try_job(lease)
            elif self._is_over(None):
                break
            else:
                time.sleep(min(TICK_SECONDS, self._intake.pause_seconds))
        if lease is not None:
            lease.release()
        return self._summary

    def _try_job(self, lease: SharedLease) -> SharedLease | None:
        """Work on the job of a message; a message of another job, if one came."""
        try:
            state, plan = self._open(lease)
            check_room(plan, self._options.processes)
            done = tasks_done(plan, state.done())
        except CvbatchError as error:
            self._intake.refuse(lease.held, error)
            return None
        if done == len(plan):
            lease.ack()
            return None
        self._options.tell(RunStarted(plan.job.id, len(plan), done, 0, self._options.processes))
        return self._work_on(plan, state, lease)

    def _open(self, lease: SharedLease) -> tuple[State, Plan]:
        """The job of a message. Raises errors of :class:`CvbatchError` for one that is not to be worked on."""
        message = lease.message
        self._check_allowed(message.state.url)
        state = State(message.state, open_store(message.state), message.batch.job_id)
        found = state.read_job()
        if found is None:
            raise StateError(f"{message.state.url} has no job.json: job {message.batch.job_id} is gone")
        plan = Plan(*found)
        self._check_allowed(*_places(plan.job))
        check_keys(plan.job)
        if is_inline(plan.job):
            raise UnsupportedProtocolError(f"job {plan.job.id} is of mem://, which is in another process")
        check_destination(plan.job)
        if message.batch.pass_number >= len(plan.passes):
            raise StateError(f"job {plan.job.id} has no pass {message.batch.pass_number}")
        if message.batch.stop > len(plan.passes[message.batch.pass_number]):
            raise StateError(f"job {plan.job.id} has no tasks up to {message.batch.stop}")
        if any(each.picked and each.picked[-1] >= len(each.grid) for each in plan.passes):
            raise StateError(f"job {plan.job.id} is a sample of tasks that there are not")
        return state, plan

    def _check_allowed(self, *urls: str) -> None:
        allow = [prefix.rstrip("/") for prefix in self._options.allow]
        for url in urls:
            if allow and not any(url == prefix or url.startswith(f"{prefix}/") for prefix in allow):
                raise StateError(f"{url} is not below what --allow permits: {', '.join(allow)}")

    def _work_on(self, plan: Plan, state: State, lease: SharedLease) -> SharedLease | None:
        options, summary = self._options, self._summary
        if plan.job.id not in summary.jobs:
            summary.jobs.append(plan.job.id)
        attempts = lease.message.max_attempts
        queue = JobQueue(self._intake, state, lease, attempts, lambda: self._is_over((plan, state)))
        around = Surroundings(
            state,
            open_store(plan.job.destination),
            self._tell,
            options.stop,
            lock_of(plan).keep,
            Retries(attempts),
            options.lease_seconds / BEATS_A_LEASE,
            options.grace_seconds,
            state.add_attempt,
        )
        try:
            with (
                hired(plan, options.processes, Nursery(), options.max_rss) as workers,
                supervising(plan, workers, around, options.processes) as supervisor,
            ):
                supervisor.run(queue)
        except InterruptedRun:
            pass  # What was begun is finished or handed back: a worker may end at any time.
        summary.failed += len(supervisor.progress.buried)
        return queue.foreign

    def _tell(self, event: object) -> None:
        if isinstance(event, TaskDone):
            self._summary.tasks += 1
        self._options.tell(event)  # type: ignore[arg-type]

    def _is_over(self, at_work: tuple[Plan, State] | None) -> bool:
        """Whether no more should be taken from the queue."""
        options = self._options
        if time.monotonic() - self._begin >= options.max_seconds:
            return True
        if options.max_tasks is not None and self._summary.tasks >= options.max_tasks:
            return True
        if self._intake.times_empty < SURELY_EMPTY:
            return False
        if options.exit_when_empty:
            return self._intake.queue.counts().waiting == 0
        return options.exit_when_done and self._is_done(at_work)

    def _is_done(self, at_work: tuple[Plan, State] | None) -> bool:
        """Whether the job is done, or where there is none, nothing is left in the queue."""
        if time.monotonic() < self._asked_whether_done + DONE_EVERY_SECONDS:
            return False
        self._asked_whether_done = time.monotonic()
        if at_work is not None:
            plan, state = at_work
            return tasks_to_come(plan, state.done(), state.given_up()) == 0
        counts = self._intake.queue.counts()
        return counts.waiting == counts.leased == 0
