"""The loop that leases batches, hands out their tasks, and writes down what is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from cvbatch.counts import Counts
from cvbatch.errors import InterruptedRun
from cvbatch.events import (
    BatchDone,
    BatchLeased,
    LeaseLost,
    StopRequested,
    Subscriber,
    TaskDone,
    TaskFailed,
    WorkerDied,
)
from cvbatch.metadata import Batch, Failure, Task
from cvbatch.planner import Plan
from cvbatch.queues import Queue
from cvbatch.runtime.flight import Flight
from cvbatch.runtime.state import State
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.workers import Death, Outcome, TaskError, Workers
from cvbatch.storage import Store

TICK_SECONDS = 0.2
HEARTBEAT_SECONDS = 60.0


@dataclass(frozen=True)
class Retries:
    """When a failed task is tried again: ``first_delay_seconds``, then twice that each time."""

    max_attempts: int = 3
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 60.0

    def delay_after(self, attempts: int) -> float:
        return min(self.first_delay_seconds * 2.0 ** (attempts - 1), self.longest_delay_seconds)


@dataclass
class Progress:
    """What a run has done so far."""

    counts: Counts = field(default_factory=Counts)
    done: int = 0
    retries: int = 0
    deaths: int = 0
    buried: list[Failure] = field(default_factory=list)
    buried_tasks: list[Task] = field(default_factory=list)


@dataclass(frozen=True)
class Surroundings:
    """What a supervisor works with: where results go, who is told, who may stop it, who keeps it alive.

    A life sign is given, and leases are extended, every ``beat_seconds``. When it is stopped, what has begun may take
    ``grace_seconds``.
    """

    state: State
    destination: Store
    tell: Subscriber
    stop: StopFlag
    heartbeat: Callable[[], None]
    retries: Retries
    beat_seconds: float = HEARTBEAT_SECONDS
    grace_seconds: float = math.inf
    # Where several machines work on a job, the state knows how often a task has failed.
    note_attempt: Callable[[Task, str], list[str]] | None = None


class Supervisor:
    """Brings the batches of a queue through the workers. Holds leases, receipts and acks; workers have none."""

    def __init__(self, plan: Plan, workers: Workers, around: Surroundings) -> None:
        self.progress = Progress()
        self._plan, self._workers, self._around = plan, workers, around
        self._flights: list[Flight] = []
        self._errors: dict[Task, list[str]] = {}
        self._suspects: set[Task] = set()
        # Syncing a disk takes as long as it takes; the workers are fed meanwhile.
        self._writer = ThreadPoolExecutor(1, "receipts")
        self._writing: list[Future[None]] = []
        self._next_beat = 0.0
        self._deadline = math.inf

    def run(self, queue: Queue) -> None:
        """Work until the queue is empty and all that was leased is dealt with.

        Raises :class:`InterruptedRun` when asked to stop, after what was begun is finished (or killed).
        """
        told = False
        while not self._around.stop.now and time.monotonic() < self._deadline:
            self._beat()
            if self._around.stop.soon and not told:
                told = True
                self._deadline = time.monotonic() + self._around.grace_seconds
                self._around.tell(StopRequested(self.running))
                self._hand_back()
            if not self._around.stop.soon:
                self._lease(queue)
                self._give()
            if self._around.stop.soon and not any(flight.out for flight in self._flights):
                break
            if self._idle(queue):
                self._finish_writing()
                return
            for happened in self._workers.poll(self._patience(queue)):
                self._note(happened)
            self._land(queue)
        self._land(queue, everything=True)
        self._finish_writing()
        if self._idle(queue):
            return  # What was asked to stop was done anyway.
        raise InterruptedRun(
            f"stopped on request after {self.progress.done} tasks; run the same again to go on with the rest"
        )

    @property
    def running(self) -> int:
        """Tasks that workers have."""
        return sum(len(flight.out) for flight in self._flights)

    def close(self) -> None:
        self._writer.shutdown()

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + self._around.beat_seconds
            self._around.heartbeat()
            self._extend()

    def _extend(self) -> None:
        """Hold on to what is leased. What was lost is dropped before more of it is written."""
        for flight in [flight for flight in self._flights if not flight.lease.extend()]:
            self._flights.remove(flight)
            self._workers.abandon(flight.out)
            self._around.tell(LeaseLost(_name(flight.lease.batch)))

    def _patience(self, queue: Queue) -> float:
        wait = queue.seconds_to_next()
        return TICK_SECONDS if not wait else min(TICK_SECONDS, wait)

    def _idle(self, queue: Queue) -> bool:
        return not self._flights and queue.seconds_to_next() is None

    def _lease(self, queue: Queue) -> None:
        """Have as many tasks at hand as the workers could take."""
        while self._workers.can_take(alone=False) and not any(flight.waiting for flight in self._flights):
            lease = queue.lease()
            if lease is None:
                return
            self._flights.append(Flight.of(lease))
            self._around.tell(BatchLeased(_name(lease.batch)))
            self._give()

    def _give(self) -> None:
        for flight in self._flights:
            while flight.waiting:
                alone = flight.waiting[0] in self._suspects
                if not self._workers.can_take(alone):
                    break
                task = flight.waiting.popleft()
                flight.out.add(task)
                self._workers.give(task, alone)

    def _hand_back(self) -> None:
        """Let others have what was not begun."""
        for flight in list(self._flights):
            if len(flight.waiting) == len(flight.lease.batch):
                self._flights.remove(flight)
                flight.lease.release()
            flight.waiting.clear()

    def _note(self, happened: Outcome | Death) -> None:
        if isinstance(happened, Death):
            self.progress.deaths += 1
            self._around.tell(WorkerDied(happened.pid, happened.cause))
            return
        task = happened.task
        flight = next((flight for flight in self._flights if task in flight.out), None)
        if flight is None:
            return  # Its batch was lost in the meantime.
        flight.out.remove(task)
        outcome = happened.outcome
        if isinstance(outcome, TaskError):
            flight.failed[task] = outcome
            return
        flight.done[task.index] = outcome
        box = self._plan.box(task)
        self._around.tell(TaskDone(task.name, str(box), box.volume(), outcome.result.counts, outcome.seconds))

    def _land(self, queue: Queue, everything: bool = False) -> None:
        """Deal with the batches whose tasks are all done or failed."""
        for flight in [flight for flight in self._flights if flight.landed or everything]:
            self._flights.remove(flight)
            for task, error in flight.failed.items():
                self._try_again_or_bury(task, error, queue)
            self.progress.done += len(flight.done)
            for done in flight.done.values():
                self.progress.counts += done.result.counts
            queue.insert(flight.rest())
            self._writing.append(self._writer.submit(self._write, flight))
        self._finish_writing(only_ended=True)

    def _write(self, flight: Flight) -> None:
        """Receipts, once what they speak of is safe; the lease last of all."""
        if flight.done:
            self._around.destination.flush()
        for receipt in flight.receipts(self._errors):
            self._around.state.add_receipt(receipt)
        flight.lease.ack()
        self._around.tell(BatchDone(_name(flight.lease.batch)))

    def _finish_writing(self, only_ended: bool = False) -> None:
        """Raise what went wrong when receipts were written."""
        while not only_ended and wait(self._writing, TICK_SECONDS).not_done:
            self._beat()  # A disk may take its time.
        ended = [future for future in self._writing if future.done() or not only_ended]
        self._writing = [future for future in self._writing if future not in ended]
        for future in ended:
            future.result()

    def _try_again_or_bury(self, task: Task, error: TaskError, queue: Queue) -> None:
        errors = self._errors.setdefault(task, [])
        if error.suspect and task not in self._suspects:
            # Several tasks were in a process when it died, or memory ran out. Each is tried alone, which tells.
            self._suspects.add(task)
        elif self._around.note_attempt is None:
            errors.append(error.text)
        else:
            errors[:] = self._around.note_attempt(task, error.text)
        retries = self._around.retries
        # Who needs more memory than there is when it is alone will need it again.
        hopeless = not error.retryable or error.starved
        buried = bool(errors) and (hopeless or len(errors) >= retries.max_attempts)
        box = str(self._plan.box(task))
        self._around.tell(TaskFailed(task.name, box, error.text, len(errors), buried))
        if buried:
            failure = Failure(task.name, box, tuple(errors), error.traceback)
            self._around.state.add_failure(failure)
            self.progress.buried.append(failure)
            self.progress.buried_tasks.append(task)
        else:
            self.progress.retries += 1
            batch = Batch(task.job_id, task.pass_number, task.index, task.index + 1)
            queue.insert([batch], retries.delay_after(max(1, len(errors))))


def _name(batch: Batch) -> str:
    return f"{batch.job_id} {batch.pass_number}-{batch.start}-{batch.stop}"
