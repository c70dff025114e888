"""What happens while a job runs, told to whoever subscribes: progress bars, logs, tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cvbatch.counts import Counts


@dataclass(frozen=True)
class RunStarted:
    """Work begins: ``tasks`` in all passes, of which ``done`` were finished by earlier runs."""

    job_id: str
    tasks: int
    done: int
    voxels: int
    processes: int


@dataclass(frozen=True)
class PassStarted:
    """A pass over the volume begins."""

    number: int
    passes: int
    tasks: int


@dataclass(frozen=True)
class TaskDone:
    """One task was fetched, computed and stored."""

    task: str
    box: str
    voxels: int
    counts: Counts
    seconds: float


@dataclass(frozen=True)
class TaskFailed:
    """One attempt at a task failed; ``buried`` says that there will be no other in this run."""

    task: str
    box: str
    error: str
    attempt: int
    buried: bool


@dataclass(frozen=True)
class WorkerDied:
    """A worker process ended by itself; another one takes its place."""

    pid: int
    cause: str


@dataclass(frozen=True)
class StopRequested:
    """The run finishes the tasks that it has begun, and then stops."""

    running: int


@dataclass(frozen=True)
class JobAdvanced:
    """What the receipts of all workers say: ``done`` tasks of all passes, ``failed`` ones that were given up."""

    done: int
    failed: int


@dataclass(frozen=True)
class MessageRefused:
    """A message of a queue was handed back, because of what it says or what it leads to."""

    reason: str


@dataclass(frozen=True)
class BatchLeased:
    """A batch came from the queue."""

    batch: str


@dataclass(frozen=True)
class BatchDone:
    """A batch is dealt with: its receipts are written."""

    batch: str


@dataclass(frozen=True)
class LeaseLost:
    """A batch was held for too long without a sign of life, and may be somebody else's: it is dropped."""

    batch: str


Event: TypeAlias = (
    RunStarted
    | PassStarted
    | TaskDone
    | TaskFailed
    | WorkerDied
    | StopRequested
    | JobAdvanced
    | MessageRefused
    | BatchLeased
    | BatchDone
    | LeaseLost
)
Subscriber: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The subscriber of those who don't want to know."""
