"""Planning: shapes and a byte budget to tasks. Pure arithmetic, no I/O."""

from cvbatch.planner.align import aligned_region, chunk_unit, write_unit
from cvbatch.planner.check import check_plan
from cvbatch.planner.cut import Crew, cut
from cvbatch.planner.memory import (
    MOST_AT_ONCE,
    Extents,
    blocks_at_once,
    extents_of,
    projected_bytes,
    slab_bytes,
    slab_shape,
    slabs_bytes,
    tasks_at_once,
    worker_bytes,
)
from cvbatch.planner.plan import Pass, PassLevel, Plan, base_scale, pass_levels
from cvbatch.planner.requests import Requests, made_of, requests_of
from cvbatch.planner.route import Route, downsamples_chunks, keeps_voxels, route

__all__ = [
    "MOST_AT_ONCE",
    "Crew",
    "Extents",
    "Pass",
    "PassLevel",
    "Plan",
    "Requests",
    "Route",
    "aligned_region",
    "base_scale",
    "blocks_at_once",
    "check_plan",
    "chunk_unit",
    "cut",
    "downsamples_chunks",
    "extents_of",
    "keeps_voxels",
    "made_of",
    "pass_levels",
    "projected_bytes",
    "requests_of",
    "route",
    "slab_bytes",
    "slab_shape",
    "slabs_bytes",
    "tasks_at_once",
    "worker_bytes",
    "write_unit",
]
