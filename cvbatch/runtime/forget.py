"""What a deletion makes untrue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from cvbatch.errors import StateError
from cvbatch.geometry import Bbox
from cvbatch.metadata import Task
from cvbatch.planner import Pass, PassLevel, Plan
from cvbatch.runtime.lock import locked_boxes
from cvbatch.runtime.state import State
from cvbatch.storage import open_store


def forget_makers(plan: Plan) -> None:
    """Take back the receipts of jobs for what a plan deletes, so that running them makes it again.

    Of the jobs whose states are below the volume: where others are is not known here.
    """
    boxes = {key: Bbox.from_list(box) for key, box in locked_boxes(plan).items()}
    for other, state in _others(plan):
        state.forget(_writers(other, boxes))


def _others(plan: Plan) -> Iterator[tuple[Plan, State]]:
    """The other jobs whose states are below this volume."""
    for key in open_store(plan.job.destination).list(".cvbatch/"):
        folder, _, name = key.removeprefix(".cvbatch/").rpartition("/")
        if name != "job.json" or "/" in folder or folder == plan.job.id:
            continue
        place = plan.job.destination.below(".cvbatch", folder)
        state = State(place, open_store(place), folder)
        # One of a version that this one can't go on with says nothing to it.
        with suppress(StateError):
            found = state.read_job()
            if found is not None:
                yield Plan(*found), state


def _writers(plan: Plan, boxes: dict[str, Bbox]) -> set[Task]:
    """The tasks that write into boxes of voxels of scales, by their keys."""
    return {
        Task(plan.job.id, each.number, each.grid.number(index))
        for each in plan.passes
        for level in each.levels
        if level.level.scale.key in boxes
        for index in each.grid.indices(_read_for(each, level, boxes[level.level.scale.key]))
    }


def _read_for(each: Pass, level: PassLevel, box: Bbox) -> Bbox:
    """The voxels of the base level that a box of a level is made from."""
    relative = box - level.level.scale.voxel_offset
    return Bbox(relative.minpt * level.factor, relative.maxpt * level.factor) + each.base.minpt
