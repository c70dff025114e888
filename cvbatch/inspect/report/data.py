"""What is reported of a job: frozen facts with a JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbatch.counts import Counts
from cvbatch.metadata import Failure
from cvbatch.planner import Pass

# What is known of a task. NOT_PICKED are those that a sample leaves out.
LEFT, DONE, FILLED, FAILED, NOT_PICKED = range(5)


@dataclass(frozen=True)
class TaskTotals:
    """Tasks of a job or a pass. ``filled`` are those of the done ones that met absent chunks."""

    total: int
    done: int
    filled: int
    failed: int

    @property
    def left(self) -> int:
        return self.total - self.done - self.failed

    def to_json(self) -> dict[str, int]:
        return {**asdict(self), "left": self.left}


@dataclass(frozen=True, eq=False)
class PassReport:
    """A pass, with the ``status`` of each cell of its grid, as an array (z, y, x)."""

    plan: Pass
    status: NDArray[np.uint8]
    tasks: TaskTotals

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.plan.number,
            "levels": [level.level.scale.key for level in self.plan.levels],
            "task_shape": list(self.plan.grid.cell),
            "grid": list(self.plan.grid.shape),
            "tasks": self.tasks.to_json(),
        }


@dataclass(frozen=True)
class TimedTask:
    """A task that is done, the box that it reads, and how long it took in seconds."""

    task: str
    box: str
    seconds: float


@dataclass(frozen=True)
class RetriedTask:
    """A task that was done at last, and why its earlier attempts were not enough."""

    task: str
    box: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class WorkerReport:
    """What one supervisor and its processes have done. ``stages`` in seconds, summed over threads."""

    name: str
    receipts: int
    tasks: int
    seconds: float
    stages: dict[str, float]
    peak_memory_bytes: int


@dataclass(frozen=True)
class Timeline:
    """When voxels were done. Times are ISO 8601; ``rates`` are bytes of voxels a second in bins of ``bin_seconds``.

    ``wall_seconds`` last from the beginning of the first tasks to the last receipt, ``working_seconds`` are those
    without the pauses in which nobody worked.
    """

    start: str
    end: str
    wall_seconds: float
    working_seconds: float
    bin_seconds: float
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Memory:
    """The largest process in bytes: projected before, allowed, and measured (0 where no receipt tells)."""

    projected_bytes: int
    budget_bytes: int
    measured_bytes: int


@dataclass(frozen=True)
class JobReport:
    """All that the state of a job tells. ``voxels`` are those that the tasks which are done have read."""

    job: str
    kind: str
    state: str
    source: str
    destination: str
    voxel_type: str
    running: int
    tasks: TaskTotals
    passes: tuple[PassReport, ...]
    counts: Counts
    voxels: int
    voxel_bytes: int
    memory: Memory
    timeline: Timeline | None
    workers: tuple[WorkerReport, ...]
    slowest: tuple[TimedTask, ...]
    retried: tuple[RetriedTask, ...]
    failures: tuple[Failure, ...]
    untimed_receipts: int = 0
    receipts: int = 0

    @property
    def bytes_per_second(self) -> float | None:
        """Voxels a second in bytes while somebody worked, None where that isn't known."""
        if self.timeline is None or not self.timeline.working_seconds:
            return None
        return self.voxel_bytes / self.timeline.working_seconds

    @property
    def condition(self) -> str:
        """``finished``, ``running``, ``failed`` (nobody works on it, and tasks were given up) or ``unfinished``."""
        if self.tasks.done == self.tasks.total:
            return "finished"
        if self.running:
            return "running"
        return "failed" if self.tasks.failed else "unfinished"

    def to_json(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "job": self.job,
            "kind": self.kind,
            "condition": self.condition,
            "state": self.state,
            "source": self.source,
            "destination": self.destination,
            "voxel_type": self.voxel_type,
            "tasks": self.tasks.to_json(),
            "workers_alive": self.running,
            "voxels": self.voxels,
            "voxel_bytes": self.voxel_bytes,
            "chunks": {
                "read": counts.chunks_read,
                "filled": counts.chunks_filled,
                "copied": counts.chunks_copied,
                "written": counts.chunks_written,
                "deleted": counts.chunks_deleted,
            },
            "bytes": {"read": counts.bytes_read, "written": counts.bytes_written},
            "voxel_bytes_per_second": self.bytes_per_second,
            "memory": asdict(self.memory),
            "receipts": {"total": self.receipts, "without_times": self.untimed_receipts},
            "timeline": None if self.timeline is None else asdict(self.timeline),
            "stages": counts.stages,
            "workers": [asdict(each) for each in self.workers],
            "passes": [each.to_json() for each in self.passes],
            "slowest": [asdict(each) for each in self.slowest],
            "retried": [asdict(each) for each in self.retried],
            "failures": [asdict(each) for each in self.failures],
        }
