"""What is left of the passes of a plan."""

from __future__ import annotations

from collections.abc import Collection

from cvbatch.geometry import Bbox
from cvbatch.metadata import Batch, Job, Task, check_key
from cvbatch.planner import Crew, Pass, Plan, cut
from cvbatch.runtime.ranges import Ranges, runs_of
from cvbatch.runtime.state import State


def planned(job: Job, state: State, crew: Crew) -> Plan:
    """The plan of a job: as it was cut at its first start, else for this crew. Nothing is written.

    Raises :class:`~cvbatch.errors.UnsupportedFormatError` for a job that would write outside of its destination.
    """
    check_keys(job)
    found = state.read_job()
    return Plan(job, cut(job, crew) if found is None else found[1])


def check_keys(job: Job) -> None:
    """Raise :class:`~cvbatch.errors.UnsupportedFormatError` where a level that is written is not in the destination."""
    if job.check is None:
        for level in job.levels:
            check_key(level.scale)


def tasks_done(plan: Plan, done: dict[int, Ranges]) -> int:
    """How many tasks of a plan have receipts."""
    return sum(len(each) - sum(b - a for a, b in missing_tasks(each, done)) for each in plan.passes)


def missing_tasks(each: Pass, done: dict[int, Ranges]) -> list[tuple[int, int]]:
    """The ranges of a pass's tasks that have no receipt."""
    return done.get(each.number, Ranges(())).missing(len(each))


def tasks_that_read(each: Pass, not_made: Collection[Bbox], done: dict[int, Ranges]) -> set[int]:
    """The tasks of a pass that are not done and would read a box that was not made."""
    if not not_made:
        return set()
    missing = {index for start, stop in missing_tasks(each, done) for index in range(start, stop)}
    return missing & {each.grid.number(index) for box in not_made for index in each.grid.indices(box)}


def boxes_made_by(plan: Plan, each: Pass, tasks: Collection[int]) -> list[Bbox]:
    """What the next pass would read of these tasks' results, if they make any."""
    if plan.job.check is not None:
        return []
    return [each.level_box(each.levels[-1], each.box(index)) for index in sorted(tasks)]


def tasks_to_come(plan: Plan, done: dict[int, Ranges], given_up: Collection[Task]) -> int:
    """How many tasks somebody can still do: not those that were given up, nor those that would read their results."""
    count, not_made = 0, list[Bbox]()
    for each in plan.passes:
        buried = {task.index for task in given_up if task.pass_number == each.number}
        skipped = tasks_that_read(each, not_made, done)
        count += sum(stop - start for start, stop in missing_tasks(each, done)) - len(buried | skipped)
        not_made = boxes_made_by(plan, each, skipped | buried)
    return count


def batches_left(plan: Plan, each: Pass, done: dict[int, Ranges], skipped: set[int]) -> list[Batch]:
    """What is left of a pass, by the message."""
    without = Ranges.of([*done.get(each.number, Ranges(())).ranges, *runs_of(skipped)])
    step = plan.spec.tasks_per_message
    return [
        Batch(plan.job.id, each.number, first, min(first + step, stop))
        for start, stop in without.missing(len(each))
        for first in range(start, stop, step)
    ]
