"""Reading the state of a job once, from its first receipt to its last."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbatch.counts import Counts
from cvbatch.errors import StateError
from cvbatch.inspect.report.data import (
    DONE,
    FAILED,
    FILLED,
    LEFT,
    NOT_PICKED,
    JobReport,
    Memory,
    PassReport,
    RetriedTask,
    TaskTotals,
    TimedTask,
    WorkerReport,
)
from cvbatch.inspect.report.timeline import Finish, seconds_of, timeline
from cvbatch.inspect.status import JobStatus, job_status
from cvbatch.metadata import Receipt
from cvbatch.planner import Pass, Plan, worker_bytes
from cvbatch.runtime.state import State

SLOWEST = 15
AMOUNTS = (
    "chunks_read",
    "chunks_filled",
    "chunks_copied",
    "chunks_written",
    "chunks_deleted",
    "bytes_read",
    "bytes_written",
)


def gather(plan: Plan, state: State) -> JobReport:
    """All that the state of a job tells. Each receipt is read once, and what is kept of it is small.

    Raises :class:`StateError` for a job that was not started, and for a state that can't be understood.
    """
    found = job_status(plan, state)
    if not found.started:
        raise StateError(
            f"job {found.job} was not started yet, so there is nothing to report: {found.state} has no job.json. "
            "Start it with `cvbatch run`"
        )
    return report_of(plan, found, state.receipts())


def report_of(plan: Plan, found: JobStatus, receipts: Iterable[Receipt]) -> JobReport:
    """What receipts come to, with what else is known of the job."""
    sums = _Sums(plan)
    for receipt in receipts:
        sums.add(receipt)
    sums.mark_failed(failure.task for failure in found.failures)
    passes = tuple(each.report() for each in sums.passes)
    voxels = sum(each.voxels_done() for each in sums.passes)
    totals = [each.tasks for each in passes]
    job = plan.job
    # A task that was given up in one run and done in another is done.
    given_up = {name for each in sums.passes for name in each.failed_names()}
    return JobReport(
        job=job.id,
        kind=job.kind,
        state=found.state,
        source=job.source.location.url,
        destination=job.destination.url,
        voxel_type=str(job.voxel),
        running=len(found.workers),
        tasks=TaskTotals(
            sum(t.total for t in totals),
            sum(t.done for t in totals),
            sum(t.filled for t in totals),
            sum(t.failed for t in totals),
        ),
        passes=passes,
        counts=sums.counts(),
        voxels=voxels,
        voxel_bytes=voxels * job.voxel.nbytes,
        memory=Memory(
            max((worker_bytes(plan, each) for each in plan.passes if each.levels), default=0),
            plan.spec.memory,
            max((each.peak_memory_bytes for each in sums.workers.values()), default=0),
        ),
        timeline=timeline(sums.finishes),
        workers=tuple(sorted(sums.worker_reports(), key=lambda each: (-each.seconds, -each.tasks, each.name))),
        slowest=tuple(
            TimedTask(f"{number}-{index}", _box(plan, number, index), round(seconds, 4))
            for seconds, number, index in sorted(sums.slowest, key=lambda each: (-each[0], *each[1:]))
        ),
        retried=tuple(replace(each, box=_box(plan, *_numbers(each.task))) for each in sums.retried),
        failures=tuple(each for each in found.failures if each.task in given_up),
        receipts=len(sums.finishes),
        untimed_receipts=sums.untimed,
    )


def _numbers(task: str) -> tuple[int, int]:
    number, _, index = task.partition("-")
    return int(number), int(index)


def _box(plan: Plan, number: int, index: int) -> str:
    return plan.passes[number].box(index).to_filename()


@dataclass(eq=False)
class _PassSums:
    """The tasks of a pass, one byte each, and the voxels before each."""

    each: Pass
    status: NDArray[np.uint8] = field(init=False)
    ends: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.status = np.full(len(self.each), LEFT, np.uint8)
        self.ends = np.concatenate(([0], np.cumsum(_voxels_of_tasks(self.each))))

    def voxels(self, start: int, stop: int) -> int:
        """Voxels that tasks [start, stop) read."""
        start, stop = min(start, len(self.each)), min(stop, len(self.each))
        return int(self.ends[stop] - self.ends[start])

    def voxels_done(self) -> int:
        done = (self.status == DONE) | (self.status == FILLED)
        return int(np.diff(self.ends)[done].sum())

    def failed_names(self) -> list[str]:
        return [f"{self.each.number}-{index}" for index in np.flatnonzero(self.status == FAILED)]

    def report(self) -> PassReport:
        count = {status: int((self.status == status).sum()) for status in (DONE, FILLED, FAILED)}
        cells = np.full(len(self.each.grid), NOT_PICKED, np.uint8)
        cells[slice(None) if self.each.picked is None else list(self.each.picked)] = self.status
        return PassReport(
            self.each,
            cells.reshape(tuple(self.each.grid.shape)[::-1]),
            TaskTotals(len(self.each), count[DONE] + count[FILLED], count[FILLED], count[FAILED]),
        )


def _voxels_of_tasks(each: Pass) -> NDArray[np.int64]:
    """How many voxels each task of a pass reads."""
    size, cell, shape = each.grid.bounds.size(), each.grid.cell, each.grid.shape
    x, y, z = (
        np.minimum(size[axis] - np.arange(shape[axis], dtype=np.int64) * cell[axis], cell[axis]) for axis in range(3)
    )
    voxels: NDArray[np.int64] = (z[:, None, None] * y[None, :, None] * x[None, None, :]).ravel()
    return voxels if each.picked is None else voxels[list(each.picked)]


@dataclass(eq=False)
class _WorkerSums:
    """A :class:`WorkerReport` in the making."""

    receipts: int = 0
    tasks: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)


class _Sums:
    """What receipts add up to."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.passes = [_PassSums(each) for each in plan.passes]
        self.amounts = dict.fromkeys(AMOUNTS, 0)
        self.workers: dict[str, _WorkerSums] = {}
        self.finishes: list[Finish] = []
        self.slowest: list[tuple[float, int, int]] = []
        self.retried: list[RetriedTask] = []
        self.untimed = 0

    def add(self, receipt: Receipt) -> None:
        """Take in one receipt. Those of tasks that the plan hasn't got are left out."""
        batch, course = receipt.batch, receipt.course
        if not 0 <= batch.pass_number < len(self.passes):
            return
        own = self.passes[batch.pass_number]
        part = own.status[batch.start : batch.stop]
        np.maximum(part, DONE, out=part)
        own.status[[index for index in course.filled if index < len(own.status)]] = FILLED
        nbytes = own.voxels(batch.start, batch.stop) * self.plan.job.voxel.nbytes
        seconds = course.seconds
        self.untimed += not seconds
        finish = Finish(receipt.worker, seconds_of(receipt.finished), max(seconds, default=0.0), sum(seconds), nbytes)
        self.finishes.append(finish)
        for offset, each in enumerate(seconds):
            self._note_slow((each, batch.pass_number, batch.start + offset))
        self.retried += [
            RetriedTask(f"{batch.pass_number}-{index}", "", errors) for index, errors in sorted(course.retried.items())
        ]
        self._add_counts(receipt, finish)

    def _note_slow(self, entry: tuple[float, int, int]) -> None:
        if len(self.slowest) < SLOWEST:
            heapq.heappush(self.slowest, entry)
        elif entry > self.slowest[0]:
            heapq.heapreplace(self.slowest, entry)

    def _add_counts(self, receipt: Receipt, finish: Finish) -> None:
        # Not by adding Counts, which takes most of the time where there are many receipts.
        counts, worker = receipt.counts, self.workers.setdefault(receipt.worker, _WorkerSums())
        for name in AMOUNTS:
            self.amounts[name] += getattr(counts, name)
        for stage, seconds in counts.stages.items():
            worker.stages[stage] = worker.stages.get(stage, 0.0) + seconds
        worker.receipts += 1
        worker.tasks += len(receipt.batch)
        worker.seconds += finish.total
        worker.peak_memory_bytes = max(worker.peak_memory_bytes, receipt.course.peak_memory_bytes)

    def mark_failed(self, names: Iterable[str]) -> None:
        """Note the tasks that were given up, but for those that were done later."""
        for number, index in map(_numbers, names):
            if number < len(self.passes) and index < len(self.passes[number].status):
                status = self.passes[number].status
                status[index] = FAILED if status[index] == LEFT else status[index]

    def counts(self) -> Counts:
        stages = Counts().stages
        for worker in self.workers.values():
            for stage, seconds in worker.stages.items():
                stages[stage] = stages.get(stage, 0.0) + seconds
        amounts: dict[str, Any] = self.amounts
        return Counts(**amounts, stages={stage: round(seconds, 4) for stage, seconds in stages.items()})

    def worker_reports(self) -> list[WorkerReport]:
        return [
            WorkerReport(
                name,
                sums.receipts,
                sums.tasks,
                round(sums.seconds, 3),
                {stage: round(seconds, 4) for stage, seconds in sums.stages.items()},
                sums.peak_memory_bytes,
            )
            for name, sums in self.workers.items()
        ]
