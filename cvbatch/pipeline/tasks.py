"""Running tasks, wherever: what a worker process and the calling process have in common."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from cvbatch.counts import TaskResult
from cvbatch.errors import CvbatchError
from cvbatch.memory import Arena
from cvbatch.metadata import Task
from cvbatch.pipeline import PassWork, Pools, Removal, open_pass, open_removal, run_task
from cvbatch.planner import Plan
from cvbatch.process.recorder import Recorder
from cvbatch.process.resident import memory_bytes, peak_memory_bytes


def error_document(error: Exception) -> dict[str, Any]:
    """An error for the supervisor. What is not an error of ours may be anything, and is tried again."""
    name = type(error).__name__
    return {
        "text": str(error) if isinstance(error, CvbatchError) else f"{name}: {error}",
        "retryable": error.retryable if isinstance(error, CvbatchError) else True,
        "traceback": "".join(traceback.format_exception(error)),
    }


@dataclass
class TaskRunner:
    """Runs tasks, from one thread or several, with the pass of the last one open."""

    plan: Plan
    pools: Pools
    arena: Arena
    recorder: Recorder = field(default_factory=Recorder)
    _work: PassWork | Removal | None = field(default=None, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def run(self, task: Task) -> dict[str, Any]:
        """Run a task; the message that says what became of it."""
        start = time.perf_counter()
        message: dict[str, Any] = {"task": [task.pass_number, task.index]}
        try:
            message["result"] = self._run(self._pass(task), task.index).to_json()
        except Exception as error:  # noqa: BLE001 - a failing task never ends a worker
            message["error"] = error_document(error)
        message["seconds"] = time.perf_counter() - start
        message["peak_memory_bytes"] = peak_memory_bytes()
        message["memory_bytes"] = memory_bytes()
        return message

    def _run(self, work: PassWork | Removal, index: int) -> TaskResult:
        if isinstance(work, Removal):
            return work.run(index, self.pools)
        return run_task(work, index, self.pools, self.arena)

    def _pass(self, task: Task) -> PassWork | Removal:
        with self._opening:
            if self._work is None or self._work.each.number != task.pass_number:
                opens = open_removal if self.plan.job.kind == "delete" else open_pass
                self._work = opens(self.plan, task.pass_number, self.recorder)
            return self._work
