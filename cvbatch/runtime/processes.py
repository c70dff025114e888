"""Worker processes, each started as a program of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from cvbatch.errors import WorkerDiedError
from cvbatch.memory import sweep_segments
from cvbatch.metadata import Task
from cvbatch.metadata.job import job_document
from cvbatch.planner import Plan, worker_bytes
from cvbatch.process.child import PATIENCE_SECONDS, Child
from cvbatch.process.nursery import WORKER, Nursery
from cvbatch.runtime.workers import Death, Outcome, TaskError, outcome_from

MOST_STILLBORN = 5


@dataclass
class _Process:
    """One worker process, and the tasks that it was given and hasn't answered."""

    child: Child
    tasks: list[Task] = field(default_factory=list)
    alone: bool = False
    ready: bool = False
    peak_memory_bytes: int = 0
    is_too_large: bool = False

    @classmethod
    def start(cls, plan: Plan, child: Child) -> _Process:
        worker = cls(child)
        worker.child.send(job_document(plan.job, plan.spec))
        return worker


class ProcessWorkers:
    """``processes`` worker processes. One that dies is replaced, and what it had comes back as errors.

    One that has more than ``most_bytes`` after a task gets no other, and is replaced too. The first ones come from a
    ``nursery``.
    """

    def __init__(
        self, plan: Plan, processes: int, tasks_at_once: int, nursery: Nursery, most_bytes: float = math.inf
    ) -> None:
        self._plan = plan
        self._most_bytes = most_bytes
        self._tasks_at_once = tasks_at_once
        self._peaks_of_the_dead = 0
        self._stillborn = 0
        self._processes = [_Process.start(plan, nursery.take()) for _ in range(processes)]

    def _free(self, alone: bool) -> _Process | None:
        """The process with the fewest tasks that could take one more."""
        most = 0 if alone else self._tasks_at_once - 1
        able = [
            each
            for each in self._processes
            if len(each.tasks) <= most and not (each.tasks and each.alone) and not each.is_too_large
        ]
        return min(able, key=lambda each: len(each.tasks), default=None)

    def can_take(self, alone: bool) -> bool:
        return self._free(alone) is not None

    def give(self, task: Task, alone: bool) -> None:
        worker = self._free(alone)
        assert worker is not None
        worker.tasks.append(task)
        worker.alone = alone
        worker.child.send({"task": [task.pass_number, task.index]})

    def abandon(self, tasks: Collection[Task]) -> None:
        for worker in self._processes:
            if any(task in tasks for task in worker.tasks):
                worker.child.process.kill()

    def poll(self, timeout_seconds: float) -> Sequence[Outcome | Death]:
        happened: list[Outcome | Death] = []
        by_connection = {each.child.connection: each for each in self._processes}
        for ready in wait(list(by_connection), timeout_seconds):
            worker = by_connection[ready]  # type: ignore[index]
            message = worker.child.receive()
            if message is None:
                happened += self._bury(worker)
                continue
            if message.get("ready"):
                worker.ready, self._stillborn = True, 0
                continue
            outcome = outcome_from(message, self._plan.job.id)
            worker.peak_memory_bytes = message["peak_memory_bytes"]
            worker.tasks.remove(outcome.task)
            worker.is_too_large |= message["memory_bytes"] > self._most_bytes
            happened.append(outcome)
            if worker.is_too_large and not worker.tasks:
                self._renew(worker)
        return happened

    def _renew(self, worker: _Process) -> None:
        """Put another process in the place of one that has grown."""
        worker.child.send({"stop": True})
        self._peaks_of_the_dead += worker.peak_memory_bytes
        self._processes[self._processes.index(worker)] = _Process.start(self._plan, Child.start(WORKER))
        worker.child.end(PATIENCE_SECONDS)

    def _bury(self, worker: _Process) -> list[Outcome | Death]:
        """Put another process in the place of a dead one; its tasks are suspects, each of them.

        Raises :class:`WorkerDiedError` where one after the other dies before it has even started.
        """
        cause, starved = worker.child.cause_of_death()
        if starved:
            needed = max(worker_bytes(self._plan, each) for each in self._plan.passes)
            cause += f" (its plan needs about {needed >> 20} MiB, it had {worker.peak_memory_bytes >> 20} MiB before)"
        self._stillborn += not worker.ready
        if self._stillborn > MOST_STILLBORN:
            raise WorkerDiedError(f"{self._stillborn} workers in a row died before they could start: {cause}")
        worker.child.close()
        sweep_segments()
        self._peaks_of_the_dead += worker.peak_memory_bytes
        self._processes[self._processes.index(worker)] = _Process.start(self._plan, Child.start(WORKER))
        error = TaskError(cause, True, suspect=len(worker.tasks) > 1 or starved, starved=starved)
        lost = [Outcome(task, error) for task in worker.tasks]
        return [Death(worker.child.process.pid, cause), *lost]

    @property
    def peak_memory_bytes(self) -> int:
        return self._peaks_of_the_dead + sum(each.peak_memory_bytes for each in self._processes)

    def close(self, kill: bool) -> None:
        for worker in self._processes:
            if kill:
                worker.child.process.kill()
            else:
                worker.child.send({"stop": True})
        deadline = time.monotonic() + PATIENCE_SECONDS
        for worker in self._processes:
            worker.child.end(deadline - time.monotonic())
        if kill:
            sweep_segments()
