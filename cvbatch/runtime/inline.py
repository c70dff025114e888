"""Workers without processes of their own."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from cvbatch.memory import Arena
from cvbatch.metadata import Task
from cvbatch.pipeline import Pools
from cvbatch.pipeline.tasks import TaskRunner
from cvbatch.planner import Plan
from cvbatch.runtime.workers import Death, Outcome, outcome_from


class InlineWorkers:
    """Works in the calling process, one task after the other.

    For ``mem://``, which lives in one process, and as the reference that all others must equal.
    """

    def __init__(self, plan: Plan) -> None:
        self._arena = Arena(plan.job.id, plan.spec.memory)
        self._pools = Pools.of(plan.spec.threads)
        self._runner = TaskRunner(plan, self._pools, self._arena)
        self._next: Task | None = None
        self.peak_memory_bytes = 0

    def can_take(self, alone: bool) -> bool:
        return self._next is None

    def give(self, task: Task, alone: bool) -> None:
        self._next = task

    def abandon(self, tasks: Collection[Task]) -> None:
        if self._next in tasks:
            self._next = None

    def poll(self, timeout_seconds: float) -> Sequence[Outcome | Death]:
        if self._next is None:
            time.sleep(timeout_seconds)
            return []
        task, self._next = self._next, None
        message = self._runner.run(task)
        return [outcome_from(message, task.job_id)]

    def close(self, kill: bool) -> None:
        self._pools.close()
        self._arena.close()
