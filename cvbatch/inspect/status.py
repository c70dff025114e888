"""How far a job is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cvbatch.metadata import Failure
from cvbatch.planner import Plan
from cvbatch.runtime import State, tasks_done

# Workers say that they live each minute; after three they are taken for dead.
ALIVE_SECONDS = 180


@dataclass(frozen=True)
class JobStatus:
    """What the state directory says: tasks with receipts, tasks that were given up, who is alive."""

    job: str
    state: str
    started: bool
    total: int
    done: int
    failures: tuple[Failure, ...]
    workers: tuple[str, ...]

    @property
    def remaining(self) -> int:
        return self.total - self.done

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "state": self.state,
            "started": self.started,
            "tasks": {
                "total": self.total,
                "done": self.done,
                "failed": len(self.failures),
                "remaining": self.remaining,
            },
            "workers": list(self.workers),
            "failures": [asdict(failure) for failure in self.failures],
        }


def job_status(plan: Plan, state: State) -> JobStatus:
    """The status of a job: one listing for the tasks, and the few failures and workers read."""
    return JobStatus(
        plan.job.id,
        state.store.url,
        state.read_job() is not None,
        len(plan),
        tasks_done(plan, state.done()),
        tuple(state.failures()),
        tuple(_alive(state.workers())),
    )


def _alive(workers: list[dict[str, Any]]) -> list[str]:
    oldest = datetime.now(UTC) - timedelta(seconds=ALIVE_SECONDS)
    return [f"{w['host']}-{w['pid']}" for w in workers if datetime.fromisoformat(w["seen"]) > oldest]
