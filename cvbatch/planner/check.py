"""What must be true of every plan."""

from __future__ import annotations

from cvbatch.geometry import Bbox, ChunkGrid
from cvbatch.planner.memory import extents_of, projected_bytes
from cvbatch.planner.plan import Pass, Plan


def check_plan(plan: Plan) -> None:
    """Raise AssertionError with what is wrong. Visits every task: for tests and small plans.

    Tasks are disjoint and cover the region, each write cell of each level belongs to one task, and the
    memory that is projected is inside the budget.
    """
    region = plan.job.region
    for each in plan.passes:
        boxes = [each.box(i) for i in range(len(each))]
        _check_tiling(region, boxes, "the region")
        for level in each.levels:
            made = each.level_box(level, region)
            parts = [each.level_box(level, box) for box in boxes]
            _check_tiling(made, parts, f"level {level.number}")
            cells = ChunkGrid(level.level.scale.bounds, level.write_cell)
            for part in parts:
                if not cells.is_aligned(part):
                    raise AssertionError(f"{part} of level {level.number} is not made of whole write cells")
            chunks = ChunkGrid(level.level.scale.bounds, level.level.scale.chunk_size)
            for box in boxes:
                blocks = each.blocks(box)
                for index in blocks.indices(box):
                    if not chunks.is_aligned(each.level_box(level, blocks.box(index))):
                        raise AssertionError(f"block {blocks.box(index)} is not made of whole chunks of {level.number}")
        _check_memory(plan, each)
        region = each.level_box(each.levels[-1], region)


def _check_tiling(whole: Bbox, parts: list[Bbox], name: str) -> None:
    """Parts inside of the whole, pairwise disjoint and of the same total volume, cover it."""
    if any(part.empty() or not whole.contains_bbox(part) for part in parts):
        raise AssertionError(f"a task leaves {name} {whole}, or is empty")
    if sum(part.volume() for part in parts) != whole.volume():
        raise AssertionError(f"the tasks don't cover {name} {whole}")
    ordered = sorted(parts, key=lambda part: tuple(part.minpt))
    for i, part in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if other.minpt.x >= part.maxpt.x:
                break
            if part.intersects(other):
                raise AssertionError(f"tasks {part} and {other} of {name} overlap")


def _check_memory(plan: Plan, each: Pass) -> None:
    need = projected_bytes(plan.job, each.levels, extents_of(each), plan.spec.threads, 1)
    if need > plan.spec.memory:
        raise AssertionError(f"pass {each.number} needs {need} bytes of {plan.spec.memory}")
