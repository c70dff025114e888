"""What somebody should know before a job runs."""

from __future__ import annotations

from collections.abc import Iterator

from cvbatch.codecs import array_codec
from cvbatch.formats.precomputed import objects_in
from cvbatch.geometry import Bbox, ChunkGrid, Vec, ceil_div
from cvbatch.inspect.estimate import Estimate
from cvbatch.metadata import ScaleInfo
from cvbatch.planner import Plan, Route, made_of, route

# More files in one folder than file systems, backups and people like.
FILES_IN_A_FOLDER = 1_000_000
# More objects than a bucket's owner wants to pay requests for.
OBJECTS_IN_A_BUCKET = 10_000_000


def warnings_of(plan: Plan, asked: Bbox, fitting: int, processes: int, found: Estimate | None) -> list[str]:
    """Warnings about a plan.

    ``asked`` is the region of the configuration, in voxels of the source; ``fitting`` workers have room where
    ``processes`` are wanted.
    """
    return [
        *_about_region(plan, asked),
        *_about_objects(plan),
        *_about_loss(plan),
        *_about_mips(plan),
        *_about_memory(fitting, min(processes, len(plan))),
        *_about_source(found),
    ]


def _about_region(plan: Plan, asked: Bbox) -> Iterator[str]:
    taken = plan.job.region - plan.job.translate
    if taken != asked:
        yield f"the region {asked} is not on the grid of the destination: {taken} is taken, as destination.align says"
    if plan.job.kind == "delete":
        what = "chunks that are all background" if plan.job.delete_background else "chunks"
        yield f"this deletes {what} for good: cvbatch run needs --yes"


def _about_objects(plan: Plan) -> Iterator[str]:
    job = plan.job
    remote = job.destination.is_remote
    for each in plan.passes:
        for level in each.levels:
            scale = level.level.scale
            count = objects_in(scale, made_of(each, level))
            if scale.sharding is None and count > (OBJECTS_IN_A_BUCKET if remote else FILES_IN_A_FOLDER):
                where = "objects" if remote else "files in one folder"
                yield f"scale {scale.key} becomes {count:,} {where}: destination.sharding auto makes few large ones"


def _about_loss(plan: Plan) -> Iterator[str]:
    job, first = plan.job, plan.passes[0]
    lossy = [level.scale for level in job.levels if not _is_lossless(level.scale)]
    if not lossy or job.kind == "delete":
        return
    copied = route(job, first) is Route.COPY
    if copied and lossy == [job.levels[0].scale]:
        return
    text = f"{lossy[0].encoding} is lossy: the voxels that come back differ from those that went in"
    again = "" if _is_lossless(job.source.scale) else f", and the source, in {job.source.scale.encoding}, has lost some"
    yield text + again


def _is_lossless(scale: ScaleInfo) -> bool:
    return array_codec(scale.encoding, scale.other).lossless


def _about_mips(plan: Plan) -> Iterator[str]:
    job = plan.job
    if job.kind == "delete":
        return
    factor = job.levels[-1].factor if job.levels[-1].factor != Vec.ones() else Vec(2, 2, 1)
    more = _mips_possible(job.levels[-1].scale, factor)
    if more:
        chunks = len(ChunkGrid(job.levels[-1].scale.bounds, job.levels[-1].scale.chunk_size))
        yield (
            f"the coarsest level, {job.levels[-1].scale.key}, has {chunks:,} chunks: viewers are "
            f"quicker with {more} more mip{'s' if more > 1 else ''} (downsample.mips)"
        )


def _mips_possible(scale: ScaleInfo, factor: Vec) -> int:
    """How often a scale can be made coarser until it is one chunk along the axes that become coarser."""
    size, count = scale.size, 0
    while any(f > 1 and n > chunk for f, n, chunk in zip(factor, size, scale.chunk_size, strict=True)):
        size = ceil_div(size, factor)
        count += 1
    return count


def _about_memory(fitting: int, wanted: int) -> Iterator[str]:
    if fitting < wanted:
        yield (
            f"{wanted} workers need more memory than is free here, which is enough for {fitting}: lower "
            "workers.processes or workers.memory"
        )


def _about_source(found: Estimate | None) -> Iterator[str]:
    if found is not None and found.unreadable:
        yield f"{found.unreadable} of {found.boxes} boxes that were tried can't be read: {found.trouble}"
