"""Running tasks, wherever: what a worker process and the calling process have in common."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from cvbatch.errors import CvbatchError
from cvbatch.memory import Arena
from cvbatch.metadata import Task
from cvbatch.pipeline import PassWork, Pools, Recorder, TaskRun, open_pass, start_task
from cvbatch.planner import Plan


def error_document(error: Exception) -> dict[str, Any]:
    """An error for the supervisor. What is not an error of ours may be anything, and is tried again."""
    name = type(error).__name__
    return {
        "text": str(error) if isinstance(error, CvbatchError) else f"{name}: {error}",
        "retryable": error.retryable if isinstance(error, CvbatchError) else True,
        "traceback": "".join(traceback.format_exception(error)),
    }


def peak_memory_bytes() -> int:
    """The most that was resident at any time of this process, shared memory too."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass
class TaskRunner:
    """Begins and finishes tasks, with the pass of the last one open."""

    plan: Plan
    pools: Pools
    arena: Arena
    recorder: Recorder = field(default_factory=Recorder)
    _work: PassWork | None = field(default=None, repr=False)

    def begin(self, task: Task) -> TaskRun:
        if self._work is None or self._work.each.number != task.pass_number:
            self._work = open_pass(self.plan, task.pass_number, self.recorder)
        return start_task(self._work, task.index, self.pools, self.arena)


def run_task(begun: TaskRun | Exception, task: Task, seconds: float) -> dict[str, Any]:
    """Finish a task; the message that says what became of it. ``seconds`` were spent on it before."""
    start = time.perf_counter()
    message: dict[str, Any] = {"task": [task.pass_number, task.index]}
    try:
        if isinstance(begun, Exception):
            raise begun
        message["counts"] = begun.finish().to_json()
    except Exception as error:  # noqa: BLE001 - a failing task never ends a worker
        message["error"] = error_document(error)
    message["seconds"] = seconds + time.perf_counter() - start
    message["peak_memory_bytes"] = peak_memory_bytes()
    return message


def try_begin(runner: TaskRunner, task: Task) -> TaskRun | Exception:
    """Begin a task; what went wrong is kept for when it would be finished."""
    try:
        return runner.begin(task)
    except Exception as error:  # noqa: BLE001 - a failing task never ends a worker
        return error
