"""``transfer_to``: the engine of the batch jobs, in this process and its pool, without a state directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvbatch.errors import (
    AlignmentError,
    DestinationMismatchError,
    OutOfBoundsError,
    ScaleUnavailableError,
)
from cvbatch.formats.precomputed import layout_of, parse_info, read_info_document, write_document
from cvbatch.formats.precomputed.sharding import choose_sharding
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.metadata import (
    ByteEncoding,
    Downsampling,
    Job,
    Level,
    ScaleInfo,
    Source,
    VolumeInfo,
    VoxelType,
    check_writable,
)
from cvbatch.metadata.job import scale_from_json
from cvbatch.metadata.volume import format_resolution
from cvbatch.ops import method_for
from cvbatch.planner import Crew, Plan, cut
from cvbatch.storage import Location, open_store
from cvbatch.storage.options import REQUESTS_AT_ONCE
from cvbatch.volume.access import Access
from cvbatch.volume.context import Context
from cvbatch.volume.options import Compress, compression_name
from cvbatch.volume.scales import with_block_size
from cvbatch.volume.work import TransferTasks

# Of one process: enough for a task of large chunks, little beside a cutout.
MEMORY = 1 << 30


@dataclass(frozen=True)
class Changes:
    """What a destination that is made new has differently. ``compress`` True and None keep what there is."""

    encoding: str | None = None
    compress: Compress = True
    compress_level: int | None = None
    sharded: bool | None = None


def transfer(context: Context, target: Location, box: Bbox, mip: int, changes: Changes) -> TransferTasks:
    """The work of bringing a box of a mip to another volume, which is made from this one's ``info`` if it is missing.

    The box grows to whole chunks. Raises :class:`DestinationMismatchError` where a volume is there that can't hold
    it, :class:`AlignmentError` where its chunks don't fit; nothing is written then.
    """
    access = context.access(mip)
    if target.same_place(context.meta.location):
        raise DestinationMismatchError(f"{target.url} is the source too; give the destination a path of its own")
    found = read_info_document(open_store(target))
    document = _new_info(context, changes) if found is None else found
    scale = _matching_scale(access, parse_info(document, target.url), target.url)
    if found is None:
        check_writable(access.voxel, scale)
    elif changes.encoding not in (None, scale.encoding):
        raise DestinationMismatchError(
            f"encoding is {changes.encoding}; {target.url} is there and has {scale.encoding} at this mip"
        )
    region = access.grid.expand(box)
    if changes.sharded is not None and changes.sharded != (scale.sharding is not None):
        there = "sharded" if scale.sharding is not None else "not sharded"
        raise DestinationMismatchError(f"sharded is {changes.sharded}; {target.url} is there, and is {there}")
    _check_aligned(scale, region)
    job = _job(access, target, Level(scale, Vec.ones()), region, changes)
    threads = REQUESTS_AT_ONCE if access.location.is_remote or target.is_remote else 1
    tasks = TransferTasks(Plan(job, cut(job, Crew(int(context.options.parallel), MEMORY, threads))))
    if found is None:
        write_document(open_store(target), "info", document)
    return tasks


def _job(access: Access, target: Location, level: Level, region: Bbox, changes: Changes) -> Job:
    """What writes ``region`` of one level."""
    auto = changes.compress in (True, None, "auto")
    compress = ByteEncoding(
        compression_name(None if auto else changes.compress, level.scale.encoding), changes.compress_level, not auto
    )
    return Job(
        kind="transfer",
        source=Source(access.location, access.scale, "fill" if access.fill_missing else "error"),
        destination=target,
        voxel=access.voxel,
        levels=(level,),
        region=region,
        translate=Vec.zeros(),
        downsampling=Downsampling(method_for(access.voxel.layer_type)),
        compress=compress,
        background=int(access.background),
        delete_background=access.delete_background,
    )


def _matching_scale(access: Access, info: VolumeInfo, url: str) -> ScaleInfo:
    """The destination's scale of the same resolution."""
    if info.voxel != access.voxel:
        raise DestinationMismatchError(f"{url} holds {info.voxel}, this volume {access.voxel}")
    mip = info.mip_at(access.scale.resolution)
    if mip is None:
        raise ScaleUnavailableError(f"{url} has no mip of {format_resolution(access.scale.resolution)} nm")
    return info.scales[mip]


def _check_aligned(scale: ScaleInfo, region: Bbox) -> None:
    grid = ChunkGrid(scale.bounds, layout_of(scale).write_cell(scale))
    if not grid.bounds.contains_bbox(region):
        raise OutOfBoundsError(f"{region} leaves the destination, which is {grid.bounds}")
    if not grid.is_aligned(region):
        raise AlignmentError(
            f"{region} is not made of whole {scale.cells} of the destination, which are {grid.cell} counted from "
            f"{grid.bounds.minpt}; the nearest box that is: {grid.expand(region)}"
        )


def _new_info(context: Context, changes: Changes) -> dict[str, Any]:
    """The whole of the source's ``info``, with the new encoding."""
    info: dict[str, Any] = {name: value for name, value in context.meta.info.items() if name != "redirect"}
    if changes.encoding is not None:
        info["scales"] = [with_block_size({**scale, "encoding": changes.encoding}) for scale in info["scales"]]
    if changes.sharded is not None:
        voxel = context.meta.parsed().voxel
        info["scales"] = [_laid_out(scale, voxel, changes) for scale in info["scales"]]
    return info


def _laid_out(scale: dict[str, Any], voxel: VoxelType, changes: Changes) -> dict[str, Any]:
    """The scale with or without shards."""
    plain = {name: value for name, value in scale.items() if name != "sharding"}
    if not changes.sharded:
        return plain
    compress = compression_name(None if changes.compress in (True, "auto") else changes.compress, scale["encoding"])
    spec = choose_sharding(scale_from_json(plain), voxel.nbytes, "gzip" if compress == "gzip" else "raw")
    return {**plain, "sharding": spec.to_json()}
