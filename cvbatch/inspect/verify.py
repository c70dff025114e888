"""Whether a volume is what it should be: a job that compares, what the names say, and what follows from both."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cvbatch.errors import InputError
from cvbatch.findings import Finding, Verdict
from cvbatch.formats.precomputed import Listing, list_objects, require_info
from cvbatch.geometry import Bbox
from cvbatch.metadata import Batch, Check, Job, Task
from cvbatch.planner import Pass, PassLevel, Plan, made_of
from cvbatch.runtime.passes import tasks_done
from cvbatch.runtime.prepare import missing_scales, prepare_destination
from cvbatch.runtime.report import Report
from cvbatch.runtime.state import State, open_state
from cvbatch.storage import Location, open_store

CONFIDENCE = 0.95
# Runs a job whose plan is in the state at a place.
Runner: TypeAlias = Callable[[Job, Location], Report]


@dataclass(frozen=True)
class Sampled:
    """The tasks of a pass that were compared, of how many there are."""

    tasks: int
    total: int

    @property
    def bad_share(self) -> float:
        """Where none of them was bad: the largest share that may be, with a confidence of 95 %.

        By the hypergeometric distribution: with more bad ones than that, a sample of this size meets none in fewer than
        5 % of cases.
        """
        if self.tasks == self.total:
            return 0.0
        low, high = 0, self.total
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._chance_of_none(middle) >= 1 - CONFIDENCE else (low, middle - 1)
        return low / self.total

    def _chance_of_none(self, bad: int) -> float:
        """How likely a sample meets none of so many bad tasks."""
        good = self.total - bad
        if good < self.tasks:
            return 0.0
        return math.exp(_log_choose(good, self.tasks) - _log_choose(self.total, self.tasks))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@dataclass(frozen=True)
class Verification:
    """What comparing a destination with its source came to.

    ``plan`` is that of the job that compares, ``report`` what running it came to, None where only names were looked at.
    ``repaired`` was wrong, and isn't any more.
    """

    plan: Plan
    report: Report | None
    verdict: Verdict
    listings: tuple[Listing, ...]
    sampled: tuple[Sampled, ...]
    repaired: tuple[Finding, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing differs, of what could be compared, and all could be."""
        return not self.verdict.findings and (self.report is None or self.report.complete)

    @property
    def bad_tasks(self) -> set[Task]:
        """The tasks that write what is wrong, by the numbers that they have in the job, and those that could not be
        compared because an earlier pass made nothing that they could read."""
        named = [finding.task for finding in self.verdict.findings]
        failed = [] if self.report is None else [each.task for each in self.report.failures]
        tasks = {_task(self.plan.job.id, name) for name in named if name}
        by_number = {_task(self.plan.job.id, name) for name in failed}
        cells = {replace(t, index=self.plan.passes[t.pass_number].cell(t.index)) for t in by_number if t.pass_number}
        return tasks | cells

    def mended_to(self, again: Verification) -> Verification:
        """What is left when the tasks that write what was wrong were run and compared once more."""
        left = again.verdict.findings
        still = {(each.level, each.chunk) for each in left}
        mended = tuple(each for each in self.verdict.findings if (each.level, each.chunk) not in still)
        verdict = replace(self.verdict, findings=left)
        return replace(self, report=again.report, verdict=verdict, repaired=(*self.repaired, *mended))

    def to_json(self) -> dict[str, Any]:
        job, verdict = self.plan.job, self.verdict
        return {
            "source": job.source.location.url,
            "destination": job.destination.url,
            "right": self.right,
            "chunks": {
                "compared": verdict.chunks,
                **{problem: self.count(problem) for problem in ("missing", "damaged", "differs", "twice")},
            },
            "voxels": verdict.voxels,
            "lossy": {
                "voxels": verdict.lossy_voxels,
                "error_max": verdict.error_max,
                "error_mean": verdict.error_mean,
            },
            "listing": [
                {
                    "level": each.level,
                    "expected": each.expected,
                    "missing": None if each.missing is None else len(each.missing),
                    "strays": each.strays,
                    "stray_names": list(each.stray_names),
                }
                for each in self.listings
            ],
            "tasks": [
                {
                    "pass": number,
                    "compared": each.tasks,
                    "total": each.total,
                    "bad_share_at_most": each.bad_share,
                    "confidence": CONFIDENCE if each.tasks < each.total else 1.0,
                }
                for number, each in enumerate(self.sampled)
            ],
            "findings": [_to_json(each) for each in verdict.findings],
            "repaired": [_to_json(each) for each in self.repaired],
            "report": None if self.report is None else _without_verdict(self.report),
        }

    def count(self, problem: str) -> int:
        """How many chunks have a problem."""
        return sum(each.problem == problem for each in self.verdict.findings)


def _to_json(finding: Finding) -> dict[str, Any]:
    return {**vars(finding), "box": Bbox.from_filename(finding.chunk).to_list()}


def _without_verdict(report: Report) -> dict[str, Any]:
    return replace(report, verdict=None).to_json()


def _task(job_id: str, name: str) -> Task:
    number, _, index = name.partition("-")
    return Task(job_id, int(number), int(index))


def comparing(plan: Plan, check: Check) -> Plan:
    """The plan that compares what a plan writes, task by task."""
    return Plan(replace(plan.job, kind="verify", check=check), plan.spec)


def sample_of(plan: Plan, tasks: int) -> Plan:
    """A plan of so many tasks of each pass, picked at random."""
    picks = [sorted(random.SystemRandom().sample(range(len(each)), min(tasks, len(each)))) for each in plan.passes]
    return _picked(plan, picks)


def part_of(plan: Plan, tasks: Collection[Task]) -> Plan:
    """A plan of some of the tasks."""
    picks = [sorted(task.index for task in tasks if task.pass_number == each.number) for each in plan.passes]
    return _picked(plan, picks)


def _picked(plan: Plan, picks: list[list[int]]) -> Plan:
    passes = tuple(replace(spec, picked=tuple(some)) for spec, some in zip(plan.spec.passes, picks, strict=True))
    return Plan(plan.job, replace(plan.spec, passes=passes))


def state_place(plan: Plan, base: Location) -> Location:
    """Where the state of a comparing plan is: another one for each sample."""
    digest = hashlib.sha256(json.dumps(plan.spec.to_json(), sort_keys=True).encode()).hexdigest()[:8]
    return base.below(f"{plan.job.id}-{digest}")


def verify(plan: Plan, place: Location, run: Runner) -> Verification:
    """Compare what a plan says should be there with what is.

    The state at ``place`` is one that was interrupted, with which it goes on, or there is none. Raises errors of
    :class:`~cvbatch.errors.InputError` where nothing can be compared.
    """
    store = open_store(plan.job.destination)
    require_info(store)
    absent = {scale.key for scale in missing_scales(plan.job)}
    levels = [(each, level) for each in plan.passes for level in each.levels]
    listings = tuple(list_objects(store, level.level.scale, made_of(each, level)) for each, level in levels)
    report = None
    if len(plan):
        state = open_state(plan.job, place)
        if tasks_done(plan, state.done()) == len(plan):
            state.clear()  # What was right then may be wrong now.
        state.write_job(plan.job, plan.spec)
        report = run(plan.job, place)
    verdict = Verdict() if report is None or report.verdict is None else report.verdict
    by_name = [
        finding
        for listing, (each, level) in zip(listings, levels, strict=True)
        for finding in _by_name(plan, listing, each, level, _looked_at(plan, each, report))
    ]
    by_name += [_not_in_info(each, level) for each, level in levels if level.level.scale.key in absent]
    sampled = tuple(Sampled(len(each), len(each.grid)) for each in plan.passes)
    return Verification(plan, report, verdict.with_findings(by_name), listings, sampled)


def _not_in_info(each: Pass, level: PassLevel) -> Finding:
    detail = "the destination's info has no such scale"
    return Finding(level.level.scale.key, made_of(each, level).to_filename(), "missing", detail)


def _looked_at(plan: Plan, each: Pass, report: Report | None) -> Callable[[int], bool]:
    """Whether the task of a cell has compared its chunks."""
    failed = () if report is None else report.failures
    tasks = (_task(plan.job.id, failure.task) for failure in failed)
    gone = {task.index for task in tasks if task.pass_number == each.number}
    picked = None if each.picked is None else set(each.picked)
    not_done = {each.cell(index) for index in gone}
    return lambda cell: (picked is None or cell in picked) and cell not in not_done


def _by_name(
    plan: Plan, listing: Listing, each: Pass, level: PassLevel, looked: Callable[[int], bool]
) -> list[Finding]:
    """What the names alone tell: chunks that are there twice, and missing ones where no task has looked."""
    sharded = level.level.scale.sharding is not None
    found = [("twice", box, "there are several files, with other extensions") for box in listing.twice]
    if not plan.job.delete_background:
        what = "there is no such shard" if sharded else "there is no such chunk"
        found += [("missing", box, what) for box in listing.missing or ()]
    findings = []
    for problem, box, detail in found:
        cell = _writer_of(each, level, box)
        if problem == "twice" or not looked(cell):
            name = Task(plan.job.id, each.number, cell).name
            findings.append(Finding(level.level.scale.key, box.to_filename(), problem, detail, task=name))
    return findings


def _writer_of(each: Pass, level: PassLevel, box: Bbox) -> int:
    """The number of the task that writes a box of a level."""
    base = each.base.minpt + (box.minpt - level.level.scale.voxel_offset) * level.factor
    inside = base.maximum(each.grid.bounds.minpt)
    return each.grid.number((inside - each.grid.bounds.minpt) // each.grid.cell)


def take_back(found: Verification, plan: Plan, state: State, tasks: Collection[Task]) -> None:
    """Have the state of the job say that all is done but ``tasks``, so that running it does just these.

    Where there is no state any more, what was found right counts as done. Raises :class:`InputError` where that is not
    known of every other task.
    """
    if state.read_job() is None:
        if any(each.tasks < each.total for each in found.sampled):
            raise InputError(
                f"{state.store.url} has no state of this job, and only a sample was compared: what else is to be made "
                "again isn't known. Verify all of it, with --repair"
            )
        state.write_job(plan.job, plan.spec)
        for each in plan.passes:
            state.take_for_granted(Batch(plan.job.id, each.number, 0, len(each)))
    prepare_destination(plan)
    state.forget([replace(task, job_id=plan.job.id) for task in tasks])
