"""How far a job is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cvbatch.metadata import Failure
from cvbatch.planner import Plan
from cvbatch.process.host import surely_dead
from cvbatch.runtime.passes import tasks_done
from cvbatch.runtime.state import State

# Workers say that they live each minute; after three they are taken for dead.
ALIVE_SECONDS = 180


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker said when it was last heard of: tasks that it has done and has at work, and since when."""

    name: str
    processes: int
    done: int
    running: int
    since: str
    seen: str

    @property
    def tasks_per_second(self) -> float:
        seconds = (datetime.fromisoformat(self.seen) - datetime.fromisoformat(self.since)).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0


@dataclass(frozen=True)
class JobStatus:
    """What the state directory says: tasks with receipts, tasks that were given up, who is alive."""

    job: str
    state: str
    started: bool
    total: int
    done: int
    failures: tuple[Failure, ...]
    workers: tuple[WorkerStatus, ...]

    @property
    def remaining(self) -> int:
        return self.total - self.done - len(self.failures)

    @property
    def running(self) -> int:
        """Tasks that living workers had at work when they were last heard of."""
        return sum(worker.running for worker in self.workers)

    @property
    def tasks_per_second(self) -> float:
        """What the living workers come to together, since each of them began."""
        return sum(worker.tasks_per_second for worker in self.workers)

    @property
    def seconds_left(self) -> float | None:
        """None where nobody works, or nothing was done yet."""
        return self.remaining / self.tasks_per_second if self.tasks_per_second else None

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "state": self.state,
            "started": self.started,
            "tasks": {
                "total": self.total,
                "done": self.done,
                "running": self.running,
                "failed": len(self.failures),
                "remaining": self.remaining,
            },
            "tasks_per_second": round(self.tasks_per_second, 4),
            "seconds_left": self.seconds_left,
            "workers": [asdict(worker) for worker in self.workers],
            "failures": [asdict(failure) for failure in self.failures],
        }


def job_status(plan: Plan, state: State) -> JobStatus:
    """The status of a job: one listing for everything, and the few failures and workers read."""
    found = state.overview()
    return JobStatus(
        plan.job.id,
        state.store.url,
        found.started,
        len(plan),
        tasks_done(plan, found.done),
        tuple(state.failures_of(found.given_up)),
        tuple(_alive(state.workers(found.workers))),
    )


def _alive(documents: list[dict[str, Any]]) -> list[WorkerStatus]:
    oldest = datetime.now(UTC) - timedelta(seconds=ALIVE_SECONDS)
    return [
        WorkerStatus(
            f"{each['host']}-{each['pid']}",
            each["processes"],
            each["tasks"]["done"],
            each["tasks"]["running"],
            each["since"],
            each["seen"],
        )
        for each in documents
        if datetime.fromisoformat(each["seen"]) > oldest and not surely_dead(each)
    ]
