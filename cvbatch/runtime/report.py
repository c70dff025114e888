"""What a run did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cvbatch.counts import Counts
from cvbatch.findings import Verdict


@dataclass(frozen=True)
class TaskTotals:
    """Tasks of the whole job: ``done`` counts those of earlier runs too, ``done_before`` only those."""

    total: int
    done: int
    failed: int
    skipped: int
    done_before: int = 0


@dataclass(frozen=True)
class FailedTask:
    """A task that was given up, the box that it reads (in the destination's coordinates), and why."""

    task: str
    box: str
    error: str


@dataclass(frozen=True)
class Report:
    """What one run did: the tasks are those of the job, everything else is of this run.

    ``peak_memory_bytes`` adds up the peaks of all processes of the run, ``verdict`` is of a job that compares.
    """

    job: str
    tasks: TaskTotals
    counts: Counts
    seconds: float
    retries: int
    peak_memory_bytes: int
    failures: tuple[FailedTask, ...]
    verdict: Verdict | None = None

    @property
    def complete(self) -> bool:
        """Whether every task of the job is done."""
        return self.tasks.done == self.tasks.total

    def to_json(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "job": self.job,
            "tasks": asdict(self.tasks),
            "chunks": {
                "read": counts.chunks_read,
                "filled": counts.chunks_filled,
                "copied": counts.chunks_copied,
                "written": counts.chunks_written,
                "deleted": counts.chunks_deleted,
            },
            "bytes": {"read": counts.bytes_read, "written": counts.bytes_written},
            "seconds": round(self.seconds, 3),
            "stages": {name: round(seconds, 4) for name, seconds in counts.stages.items()},
            "retries": self.retries,
            "peak_memory_bytes": self.peak_memory_bytes,
            "failures": [asdict(failure) for failure in self.failures],
            **({} if self.verdict is None else {"verdict": self.verdict.to_json()}),
        }
