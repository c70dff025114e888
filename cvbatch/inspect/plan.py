"""What a plan will do."""

from __future__ import annotations

from typing import Any

from cvbatch.formats.precomputed import objects_in, open_chunks, read_info
from cvbatch.formats.precomputed.chunks import copier
from cvbatch.geometry import Bbox, ChunkGrid
from cvbatch.inspect.volume import describe_scale
from cvbatch.metadata import ScaleInfo
from cvbatch.planner import (
    Pass,
    Plan,
    Route,
    extents_of,
    keeps_voxels,
    made_of,
    requests_of,
    route,
    tasks_at_once,
)
from cvbatch.storage import open_store

# A run asks so often for what is no chunk, before and after its tasks, and then for each receipt.
BOOKKEEPING = 25


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Source, destination, passes, requests and memory of a plan. Boxes are ``[x0, y0, z0, x1, y1, z1]`` voxels."""
    job = plan.job
    region = job.region - job.translate
    return {
        "job": job.id,
        "kind": job.kind,
        "source": {
            "path": job.source.location.url,
            "scale": describe_scale(job.source.scale, 0, job.voxel),
            "region": region.to_list(),
            "region_nm": _nanometres(region, job.source.scale),
            "missing": job.source.missing,
        },
        "destination": {
            "path": job.destination.url,
            "compress": job.compress.name,
            "translate": list(job.translate),
            "scales": [describe_scale(level.scale, mip, job.voxel) for mip, level in enumerate(job.levels)],
        },
        "data_type": job.voxel.data_type,
        "type": job.voxel.layer_type,
        "num_channels": job.voxel.channels,
        "mips": _side_by_side(plan),
        "downsample": {"method": job.downsampling.method, "sparse": job.downsampling.sparse},
        "passes": [_describe_pass(plan, each) for each in plan.passes],
        "tasks": len(plan),
        "tasks_per_receipt": plan.spec.tasks_per_message,
        "requests": _requests(plan),
        "worker": {"memory_budget_bytes": plan.spec.memory, "threads": plan.spec.threads},
    }


def _side_by_side(plan: Plan) -> list[dict[str, Any]]:
    """Each resolution with the source's scale and the destination's, None where the one hasn't got it.

    ``box`` of the destination is what is written there, that of the source what is read, None of what isn't.
    """
    job = plan.job
    info = read_info(open_store(job.source.location))
    there = [] if info is None else list(info.scales)
    made = {level.level.scale.resolution: made_of(each, level) for each in plan.passes for level in each.levels}
    ours = {level.scale.resolution: level.scale for level in job.levels}
    theirs = {scale.resolution: scale for scale in there}
    read = {job.source.scale.resolution: job.region - job.translate} if job.kind != "delete" else {}
    return [
        {
            "resolution": list(resolution),
            "source": _with_box(theirs.get(resolution), read.get(resolution), plan),
            "destination": _with_box(ours.get(resolution), made.get(resolution), plan),
        }
        for resolution in sorted({**theirs, **ours}, key=lambda resolution: (sum(resolution), resolution))
    ]


def _with_box(scale: ScaleInfo | None, box: Bbox | None, plan: Plan) -> dict[str, Any] | None:
    if scale is None:
        return None
    boxes = (None, None) if box is None else (box.to_list(), _nanometres(box, scale))
    return {**describe_scale(scale, 0, plan.job.voxel), "box": boxes[0], "box_nm": boxes[1]}


def _requests(plan: Plan) -> dict[str, Any]:
    """Requests for objects of chunks by kind, in all passes; ``exact`` where nothing about them is a guess.

    ``bookkeeping`` is about what else is asked for: ``info``, the lock, the state and its receipts.
    """
    each = [requests_of(plan, one) for one in plan.passes]
    copied = sum(found.read for one, found in zip(plan.passes, each, strict=True) if _copies_inside(plan, one))
    receipts = sum(-(-len(one) // plan.spec.tasks_per_message) for one in plan.passes)
    return {
        "get": sum(found.read for found in each) - copied,
        "put": sum(found.written for found in each) - copied,
        "copy": copied,
        "delete": sum(found.deleted for found in each),
        "exact": all(found.exact for found in each),
        "bookkeeping": BOOKKEEPING + receipts,
    }


def _copies_inside(plan: Plan, each: Pass) -> bool:
    """Whether the store copies the chunks of a pass by itself."""
    job, way = plan.job, route(plan.job, each)
    if way is not Route.COPY or keeps_voxels(way, each) or job.compress.required:
        return False
    source = open_chunks(open_store(job.source.location).exact(), job.source.scale)
    return copier(source, open_chunks(open_store(job.destination), each.levels[0].level.scale)) is not None


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
                "box": (box := made_of(each, level)).to_list(),
                "box_nm": _nanometres(box, level.level.scale),
                "chunks": _chunks(level.level.scale, box),
                "objects": objects_in(level.level.scale, box),
            }
            for level in each.levels
        ],
    }


def _chunks(scale: ScaleInfo, box: Bbox) -> int:
    return ChunkGrid(scale.bounds, scale.chunk_size).index_range(box).volume()


def _nanometres(box: Bbox, scale: ScaleInfo) -> list[float]:
    low = [p * r for p, r in zip(box.minpt, scale.resolution, strict=True)]
    return [*low, *(p * r for p, r in zip(box.maxpt, scale.resolution, strict=True))]
