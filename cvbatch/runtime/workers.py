"""The contract of the workers that a supervisor has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cvbatch.counts import TaskResult
from cvbatch.metadata import Task


@dataclass(frozen=True)
class TaskError:
    """Why an attempt at a task failed.

    ``suspect`` says that its worker died, perhaps because of another task, ``starved`` that memory ran out.
    """

    text: str
    retryable: bool
    traceback: str = ""
    suspect: bool = False
    starved: bool = False


@dataclass(frozen=True)
class Done:
    """What a task has done, how long it took, and how large its process had become."""

    result: TaskResult
    seconds: float
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt."""

    task: Task
    outcome: Done | TaskError


@dataclass(frozen=True)
class Death:
    """A worker process that ended by itself."""

    pid: int
    cause: str


class Workers(Protocol):
    """Somebody who works on tasks."""

    def can_take(self, alone: bool) -> bool:
        """Whether a task could be given now; ``alone`` is one that no other may share a process with."""
        ...

    def give(self, task: Task, alone: bool) -> None:
        """Hand over a task."""
        ...

    def abandon(self, tasks: Collection[Task]) -> None:
        """See to it that nothing more is written for these tasks, and that nobody waits for them."""
        ...

    def poll(self, timeout_seconds: float) -> Sequence[Outcome | Death]:
        """What happened since the last call; waits for something up to a time."""
        ...

    @property
    def peak_memory_bytes(self) -> int:
        """The peaks of all processes so far, added up."""
        ...

    def close(self, kill: bool) -> None:
        """End the workers; with ``kill`` in the middle of what they do."""
        ...


def outcome_from(message: dict[str, Any], job_id: str) -> Outcome:
    """What a worker says of a task."""
    task = Task(job_id, *message["task"])
    if "error" in message:
        return Outcome(task, TaskError(**message["error"]))
    result = TaskResult.from_json(message["result"])
    return Outcome(task, Done(result, message["seconds"], message["peak_memory_bytes"]))
