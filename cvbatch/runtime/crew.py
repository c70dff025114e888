"""Workers and their supervisor, for as long as a block lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from cvbatch.errors import StorageError
from cvbatch.metadata import Job
from cvbatch.planner import Plan, tasks_at_once
from cvbatch.process.host import identity, now_text, worker_name
from cvbatch.process.nursery import Nursery
from cvbatch.runtime.processes import ProcessWorkers
from cvbatch.runtime.supervisor import Supervisor, Surroundings
from cvbatch.runtime.workers import Workers


def is_inline(job: Job) -> bool:
    """Whether a volume lives in the memory of this process, where no other one can reach it."""
    return any(place.protocol == "mem" for place in (job.source.location, job.destination))


@contextmanager
def hired(plan: Plan, processes: int, nursery: Nursery, most_bytes: float = math.inf) -> Iterator[Workers]:
    """Processes, or the calling one where a volume lives in its memory; those above ``most_bytes`` are replaced."""
    at_once = min(tasks_at_once(plan, each) for each in plan.passes)
    workers: Workers
    if is_inline(plan.job):
        from cvbatch.runtime.inline import InlineWorkers

        workers = InlineWorkers(plan)
    else:
        workers = ProcessWorkers(plan, processes, at_once, nursery, most_bytes)
    nursery.close()
    clean = False
    try:
        yield workers
        clean = True
    finally:
        workers.close(kill=not clean)


@contextmanager
def supervising(plan: Plan, workers: Workers, around: Surroundings, processes: int) -> Iterator[Supervisor]:
    """A supervisor that says under ``workers/`` of the state that it lives."""
    name = worker_name()
    document = {**identity(), "processes": processes, "since": now_text()}

    def heartbeat() -> None:
        # A store that fails now and then is asked again at the next beat; the lock outlives several.
        with suppress(StorageError):
            around.heartbeat()
            tasks = {"done": supervisor.progress.done, "running": supervisor.running}
            around.state.beat(name, {**document, "seen": now_text(), "tasks": tasks})

    supervisor = Supervisor(plan, workers, replace(around, heartbeat=heartbeat))
    try:
        yield supervisor
    finally:
        supervisor.close()
        with suppress(StorageError):
            around.state.leave(name)
