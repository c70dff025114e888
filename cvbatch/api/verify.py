"""Comparing what a job should have made with what is there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cvbatch.api.start import AnyConfig, coordinator_of, execute_resolved, resolved_with_state, run_options
from cvbatch.config.resolve import Resolved, crew_for
from cvbatch.errors import InputError
from cvbatch.events import Subscriber, ignore
from cvbatch.inspect import verify as checks
from cvbatch.inspect.compare import compare_volumes
from cvbatch.metadata import Check, Job, Task
from cvbatch.planner import Plan, cut
from cvbatch.runtime.execute import RunOptions, execute
from cvbatch.runtime.passes import planned
from cvbatch.runtime.report import Report
from cvbatch.runtime.state import open_state
from cvbatch.runtime.stop import StopFlag
from cvbatch.storage import Location, open_store, parse_location


@dataclass(frozen=True)
class VerifyOptions:
    """How a volume is compared.

    A voxel may be off by ``tolerance``. ``sample`` tasks of each pass are compared, picked at random; None for all, 0
    for names only. ``repair`` makes again what is wrong. What is compared is noted at ``state``, so that it can be
    interrupted; None for memory, or with a shared queue a folder under the destination.
    """

    tolerance: float = 0.0
    sample: int | None = None
    repair: bool = False
    state: Location | None = None

    def of(self, plan: Plan) -> Plan:
        """The tasks that are compared."""
        return plan if self.sample is None else checks.sample_of(plan, self.sample)


def verify(
    config: AnyConfig, options: VerifyOptions | None = None, tell: Subscriber = ignore, stop: StopFlag | None = None
) -> checks.Verification:
    """Compare what a job should have made with what is there, chunk by chunk and voxel by voxel.

    With ``options.repair`` the tasks that write what is wrong are run again, pass by pass, and compared again.
    Otherwise nothing is written. Raises errors of :class:`~cvbatch.errors.InputError` where nothing can be compared,
    and :class:`~cvbatch.errors.InterruptedRun` when stopped.
    """
    resolved, state = resolved_with_state(config)
    if resolved.job.kind == "delete":
        raise InputError("a delete job makes nothing that could be compared: `cvbatch info` shows what is left")
    how = options or VerifyOptions()
    verifier = _Verifier(resolved, how, run_options(resolved, tell, stop))
    plan = planned(resolved.job, state, resolved.crew)
    comparing = checks.comparing(plan, Check(how.tolerance))
    found = verifier.compare(how.of(comparing))
    for _ in plan.passes if how.repair else ():
        if found.right:
            break
        bad = found.bad_tasks
        # A later pass is made from what an earlier one made, and may be right once that is.
        first = min((task.pass_number for task in bad), default=0)
        verifier.make_again(found, plan, [task for task in bad if task.pass_number == first])
        found = found.mended_to(verifier.compare(checks.part_of(comparing, bad)))
    return found


@dataclass(frozen=True)
class _Verifier:
    """Compares and repairs here, or by way of the workers of the job's queue."""

    resolved: Resolved
    how: VerifyOptions
    options: RunOptions

    def compare(self, plan: Plan) -> checks.Verification:
        shared = self.resolved.queue.url != "local"
        below = self.resolved.job.destination.below(".cvbatch") if shared else None
        with _state_base(self.how.state or below) as base:
            return checks.verify(plan, checks.state_place(plan, base), self._run)

    def _run(self, job: Job, place: Location) -> Report:
        return execute_resolved(replace(self.resolved, job=job, state=place), self.options)

    def make_again(self, found: checks.Verification, plan: Plan, tasks: Sequence[Task]) -> None:
        """Run tasks of the job that makes the volume."""
        checks.take_back(found, plan, open_state(plan.job, self.resolved.state), tasks)
        coordinator = coordinator_of(self.resolved, self.options)
        if coordinator is not None:
            coordinator.retry([replace(task, job_id=plan.job.id) for task in tasks])
        execute_resolved(self.resolved, self.options)


def verify_volumes(
    source: Location,
    destination: Location,
    options: VerifyOptions | None = None,
    tell: Subscriber = ignore,
    stop: StopFlag | None = None,
) -> list[checks.Verification]:
    """Compare two volumes, of which nobody knows how the one was made from the other; one result for each job.

    A scale of the second is compared with that of the same resolution of the first, else with the one below it,
    downsampled. Raises errors of :class:`~cvbatch.errors.InputError` where they have nothing in common.
    """
    how = options or VerifyOptions()
    crew = crew_for(source.is_remote or destination.is_remote)
    running = RunOptions(crew, tell=tell, stop=stop or StopFlag())

    def run(job: Job, place: Location) -> Report:
        return execute(job, replace(running, state=place))

    found = []
    with _state_base(how.state) as base:
        for job in compare_volumes(source, destination, how.tolerance).jobs:
            plan = how.of(Plan(job, cut(job, crew)))
            found.append(checks.verify(plan, checks.state_place(plan, base), run))
    return found


@contextmanager
def _state_base(place: Location | None) -> Iterator[Location]:
    """Where the states of comparisons are: a place, or memory for as long as the block lasts."""
    if place is not None:
        yield place
        return
    here = parse_location(f"mem://cvbatch-verify-{secrets.token_hex(8)}")
    try:
        yield here
    finally:
        store = open_store(here)
        store.delete_all(list(store.list()))
