"""What a plan will do."""

from __future__ import annotations

from typing import Any

from cvbatch.geometry import Bbox, ChunkGrid
from cvbatch.inspect.volume import describe_scale, objects_in
from cvbatch.metadata import ScaleInfo
from cvbatch.planner import Pass, Plan, extents_of, route, tasks_at_once, worker_bytes


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Source, destination, passes and memory of a plan. Boxes are ``[x0, y0, z0, x1, y1, z1]`` voxels."""
    job = plan.job
    source = job.source.scale
    return {
        "job": job.id,
        "kind": job.kind,
        "source": {
            "path": job.source.location.url,
            "scale": describe_scale(source, 0, job.voxel),
            "region": (job.region - job.translate).to_list(),
            "region_nm": _nanometres(job.region - job.translate, source),
            "missing": job.source.missing,
        },
        "destination": {
            "path": job.destination.url,
            "compress": job.compress.name,
            "translate": list(job.translate),
            "scales": [describe_scale(level.scale, mip, job.voxel) for mip, level in enumerate(job.levels)],
        },
        "downsample": {"method": job.downsampling.method, "sparse": job.downsampling.sparse},
        "passes": [_describe_pass(plan, each) for each in plan.passes],
        "tasks": len(plan),
        "tasks_per_receipt": plan.spec.tasks_per_message,
        "worker": {
            "memory_budget_bytes": plan.spec.memory,
            "memory_projected_bytes": max(worker_bytes(plan, each) for each in plan.passes),
            "threads": plan.spec.threads,
        },
    }


def _describe_pass(plan: Plan, each: Pass) -> dict[str, Any]:
    return {
        "number": each.number,
        "tasks": len(each),
        "task_shape": list(extents_of(each).task),
        "tasks_at_once": tasks_at_once(plan, each),
        "route": route(plan.job, each).value,
        "levels": [
            {
                "key": level.level.scale.key,
                "box": (box := each.level_box(level, each.grid.bounds)).to_list(),
                "box_nm": _nanometres(box, level.level.scale),
                "chunks": _chunks(level.level.scale, box),
                "objects": objects_in(level.level.scale, box),
            }
            for level in each.levels
        ],
    }


def _chunks(scale: ScaleInfo, box: Bbox) -> int:
    span = ChunkGrid(scale.bounds, scale.chunk_size).index_range(box)
    return span.volume()


def _nanometres(box: Bbox, scale: ScaleInfo) -> list[float]:
    low = [p * r for p, r in zip(box.minpt, scale.resolution, strict=True)]
    return [*low, *(p * r for p, r in zip(box.maxpt, scale.resolution, strict=True))]
