"""Durable facts about tasks: done, or failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from cvbatch.counts import Counts, TaskResult
from cvbatch.metadata.task import Batch
from cvbatch.metadata.typed import require_types


def receipt_key(batch: Batch) -> str:
    """The name of what is said of a batch."""
    return f"{batch.pass_number}-{batch.start:012d}-{batch.stop:012d}.json"


@dataclass(frozen=True)
class Course:
    """How the tasks of a receipt went: ``seconds`` of each, those that met absent chunks (``filled``), and by their
    numbers the errors of attempts that came before (``retried``). ``peak_memory_bytes`` is of the largest process."""

    seconds: tuple[float, ...] = ()
    filled: tuple[int, ...] = ()
    retried: dict[int, tuple[str, ...]] = field(default_factory=dict)
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class Receipt:
    """Tasks [start, stop) of a pass are done, and what they wrote is safe; ``verdict`` is of tasks that compared."""

    batch: Batch
    result: TaskResult
    finished: str
    worker: str
    course: Course = Course()

    @property
    def counts(self) -> Counts:
        return self.result.counts

    @property
    def key(self) -> str:
        """A name from which the tasks can be told without reading the receipt."""
        return receipt_key(self.batch)

    @staticmethod
    def batch_of(key: str, job_id: str) -> Batch:
        """The inverse of :attr:`key`. Raises ValueError for another file's name."""
        pass_number, start, stop = key.removesuffix(".json").split("-")
        return Batch(job_id, int(pass_number), int(start), int(stop))

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 2,
            "job": self.batch.job_id,
            "pass": self.batch.pass_number,
            "start": self.batch.start,
            "stop": self.batch.stop,
            **self.result.to_json(),
            "finished": self.finished,
            "worker": self.worker,
            "seconds": [round(seconds, 4) for seconds in self.course.seconds],
            "filled": list(self.course.filled),
            "retried": {str(task): list(errors) for task, errors in self.course.retried.items()},
            "peak_memory_bytes": self.course.peak_memory_bytes,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Receipts of version 1 don't say how the tasks went.

        Raises one of :data:`UNREADABLE` for what is none.
        """
        receipt = cls(
            Batch(value["job"], value["pass"], value["start"], value["stop"]),
            TaskResult.from_json(value),
            value["finished"],
            value["worker"],
            Course(
                tuple(value.get("seconds", ())),
                tuple(value.get("filled", ())),
                {int(task): tuple(errors) for task, errors in value.get("retried", {}).items()},
                value.get("peak_memory_bytes", 0),
            ),
        )
        require_types(receipt)
        return receipt


@dataclass(frozen=True)
class Failure:
    """A task that was given up, with the errors of its attempts, the last one last."""

    task: str
    box: str
    errors: tuple[str, ...]
    traceback: str = ""

    @property
    def key(self) -> str:
        return f"{self.task}.json"

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "task": self.task,
            "box": self.box,
            "errors": list(self.errors),
            "traceback": self.traceback,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Raises one of :data:`UNREADABLE` for what is none."""
        failure = cls(value["task"], value["box"], tuple(value["errors"]), value["traceback"])
        require_types(failure)
        return failure
