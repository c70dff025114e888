"""From a job to its report: lock, prepare, the passes in turn, provenance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from cvbatch.errors import MemoryBudgetError, StateError
from cvbatch.events import PassStarted, RunStarted, Subscriber, ignore
from cvbatch.formats.precomputed import read_info
from cvbatch.geometry import Bbox
from cvbatch.memory import available_bytes, sweep_segments
from cvbatch.metadata import Job
from cvbatch.planner import Crew, Plan, extents_of, keeps_voxels, route, slabs_bytes, tasks_at_once
from cvbatch.process.nursery import Nursery
from cvbatch.process.resident import peak_memory_bytes
from cvbatch.queues import LocalQueue
from cvbatch.runtime.crew import hired, is_inline, supervising
from cvbatch.runtime.lock import Lock, acquire
from cvbatch.runtime.passes import batches_left, boxes_made_by, missing_tasks, planned, tasks_done, tasks_that_read
from cvbatch.runtime.prepare import prepare_destination
from cvbatch.runtime.ranges import Ranges
from cvbatch.runtime.report import FailedTask, Report, TaskTotals
from cvbatch.runtime.sign import sign
from cvbatch.runtime.state import State, open_state
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.supervisor import Progress, Retries, Supervisor, Surroundings
from cvbatch.storage import Location, open_store

# How often a run says that it lives, and how far it is: requests cost, files don't.
BEAT_SECONDS, LOCAL_BEAT_SECONDS = 60.0, 3.0


@dataclass(frozen=True)
class RunOptions:
    """How a job is run; nothing here changes the bytes that it leaves. ``force`` takes the region from who holds it.

    Workers are those of the ``nursery``, which may have begun already.
    """

    crew: Crew
    state: Location | None = None
    tell: Subscriber = ignore
    stop: StopFlag = field(default_factory=StopFlag)
    retries: Retries = field(default_factory=Retries)
    force: bool = False
    nursery: Nursery = field(default_factory=Nursery)


def execute(job: Job, options: RunOptions) -> Report:
    """Run a job, or what is left of it, to its end.

    Raises errors of :class:`~cvbatch.errors.InputError` before anything is changed, and
    :class:`~cvbatch.errors.InterruptedRun` when stopped. Tasks that fail are in the report.
    """
    begin = time.monotonic()
    state = open_state(job, options.state)
    plan = planned(job, state, options.crew)
    before = done_before(plan, state)
    if before < len(plan):
        plan, before, result = _work(plan, state, options)
    else:
        result = _Result()
    done = before + result.progress.done
    if done == len(plan) and job.check is None:
        sign(plan, state)
    return Report(
        job=job.id,
        tasks=TaskTotals(len(plan), done, len(result.progress.buried), result.skipped, before),
        counts=result.progress.counts,
        seconds=time.monotonic() - begin,
        retries=result.progress.retries,
        peak_memory_bytes=peak_memory_bytes() + result.peak_memory_bytes,
        failures=tuple(FailedTask(each.task, each.box, each.errors[-1]) for each in result.progress.buried),
        verdict=None if job.check is None else state.verdict(),
    )


@dataclass(frozen=True)
class _Result:
    """What the passes of one run came to."""

    progress: Progress = field(default_factory=Progress)
    skipped: int = 0
    peak_memory_bytes: int = 0


def done_before(plan: Plan, state: State) -> int:
    """How many tasks are done. A deletion that was done begins again: what it deleted may have been made since.

    Raises :class:`StateError` where what is done is gone.
    """
    done = tasks_done(plan, state.done())
    if done:
        _check_still_there(plan, state)
    if done == len(plan) and plan.job.kind == "delete":
        state.clear()
        return 0
    return done


def _check_still_there(plan: Plan, state: State) -> None:
    """Raise :class:`StateError` where the state speaks of tasks whose results or whose plan are gone."""
    if read_info(open_store(plan.job.destination)) is None:
        raise StateError(
            f"{state.store.url} says that tasks are done, but {plan.job.destination.url} has no info: the volume was "
            "removed. Remove the state too, to start from the beginning"
        )
    if state.read_job() is None:
        raise StateError(
            f"{state.store.url} has receipts and no job.json, without which they mean nothing. Remove the state, "
            "to start from the beginning"
        )


def _work(plan: Plan, state: State, options: RunOptions) -> tuple[Plan, int, _Result]:
    """Do what is not done; the plan that holds, how many tasks were done before, and what this run did."""
    sweep_segments()
    check_room(plan, options.crew.processes)
    hands = max(1, min(options.crew.processes, len(plan)))
    with closing(options.nursery) as nursery, _lock(plan, options.force) as lock:
        nursery.begin(0 if is_inline(plan.job) else hands)
        # Only under the lock it is sure that nobody else cuts the job or does a part of it.
        resumed = state.read_job()
        plan = plan if resumed is None else Plan(plan.job, resumed[1])
        done = state.done()
        before = tasks_done(plan, done)
        prepare_destination(plan)
        state.write_job(plan.job, plan.spec)
        if resumed is not None:
            # What failed in earlier runs is tried again.
            state.clear_failures()
        processes = max(1, min(options.crew.processes, len(plan) - before))
        options.tell(RunStarted(plan.job.id, len(plan), before, voxels_left(plan, done), processes))
        remote = state.location.is_remote or plan.job.destination.is_remote
        around = Surroundings(
            state,
            open_store(plan.job.destination),
            options.tell,
            options.stop,
            lock.renew,
            options.retries,
            beat_seconds=BEAT_SECONDS if remote else LOCAL_BEAT_SECONDS,
        )
        with (
            hired(plan, processes, nursery) as workers,
            supervising(plan, workers, around, options.crew.processes) as supervisor,
        ):
            skipped = _run_passes(plan, supervisor, done, options)
        if plan.job.check is None and (resumed is not None or supervisor.progress.deaths):
            # Whoever was killed in the middle of a file has left it behind.
            open_store(plan.job.destination).sweep()
        return plan, before, _Result(supervisor.progress, skipped, workers.peak_memory_bytes)


def check_room(plan: Plan, processes: int) -> None:
    """Raise :class:`MemoryBudgetError` where the segments of all workers have no room."""
    room = available_bytes()
    if room is None:
        return
    processes = 1 if is_inline(plan.job) else min(processes, len(plan))
    kept = [each for each in plan.passes if keeps_voxels(route(plan.job, each), each)]
    most = max(
        (
            tasks_at_once(plan, each) * slabs_bytes(plan.job, each.levels, extents_of(each), plan.spec.threads)
            for each in kept
        ),
        default=0,
    )
    if processes * most > room:
        raise MemoryBudgetError(
            f"{processes} processes need {processes * most:,} bytes of shared memory and /dev/shm has {room:,} free. "
            "Lower workers.processes or workers.memory, or enlarge /dev/shm (docker: --shm-size)"
        )


def voxels_left(plan: Plan, done: dict[int, Ranges]) -> int:
    """Voxels that are still to be read, taking all tasks of a pass for equal."""
    left = 0
    for each in plan.passes:
        missing = sum(stop - start for start, stop in missing_tasks(each, done))
        left += each.voxels * missing // max(1, len(each))
    return left


@contextmanager
def _lock(plan: Plan, force: bool) -> Iterator[Lock]:
    lock = acquire(plan, force=force)
    try:
        yield lock
    finally:
        lock.release()


def _run_passes(plan: Plan, supervisor: Supervisor, done: dict[int, Ranges], options: RunOptions) -> int:
    """Run the passes one after the other; how many tasks were skipped because what they read was not made."""
    not_made: list[Bbox] = []
    all_skipped = 0
    for each in plan.passes:
        skipped = tasks_that_read(each, not_made, done)
        all_skipped += len(skipped)
        batches = batches_left(plan, each, done, skipped)
        options.tell(PassStarted(each.number, len(plan.passes), sum(map(len, batches))))
        supervisor.run(LocalQueue(batches))
        failed = {task.index for task in supervisor.progress.buried_tasks if task.pass_number == each.number}
        not_made = boxes_made_by(plan, each, skipped | failed)
    return all_skipped
