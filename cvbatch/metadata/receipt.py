"""Durable facts about tasks: done, or failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvbatch.counts import Counts
from cvbatch.metadata.task import Batch


def receipt_key(batch: Batch) -> str:
    """The name of what is said of a batch."""
    return f"{batch.pass_number}-{batch.start:012d}-{batch.stop:012d}.json"


@dataclass(frozen=True)
class Receipt:
    """Tasks [start, stop) of a pass are done, and what they wrote is safe."""

    batch: Batch
    counts: Counts
    finished: str
    worker: str

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
            "version": 1,
            "job": self.batch.job_id,
            "pass": self.batch.pass_number,
            "start": self.batch.start,
            "stop": self.batch.stop,
            "counts": self.counts.to_json(),
            "finished": self.finished,
            "worker": self.worker,
        }


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
