"""The jobs that compare any two volumes, of which nobody knows how the one was made from the other."""

from __future__ import annotations

from dataclasses import dataclass

from cvbatch.codecs import default_compression
from cvbatch.errors import InputError
from cvbatch.formats.precomputed import require_info
from cvbatch.geometry import Vec, coarser_bounds
from cvbatch.metadata import ByteEncoding, Check, Downsampling, Job, Level, ScaleInfo, Source, VolumeInfo
from cvbatch.metadata.volume import format_resolution
from cvbatch.ops import method_for
from cvbatch.storage import Location, open_store

LARGEST_FACTOR = 16


@dataclass(frozen=True)
class Comparison:
    """The jobs that compare each scale of a destination, and why some can't be compared."""

    jobs: tuple[Job, ...]
    left_out: tuple[str, ...]


def compare_volumes(source: Location, destination: Location, tolerance: float) -> Comparison:
    """Each scale of the destination against the source's of the same resolution, else against the one below it.

    What is absent reads as 0 on both sides. Raises :class:`InputError` where the volumes have nothing in common.
    """
    if destination.is_server:
        raise InputError(f"{destination.url}: a web server doesn't list what it has; give it as the source")
    theirs, ours = require_info(open_store(source)), require_info(open_store(destination))
    if theirs.voxel != ours.voxel:
        raise InputError(f"{source.url} holds {theirs.voxel}, {destination.url} holds {ours.voxel}")
    check = Check(tolerance, ours=False)
    jobs, left_out = list[Job](), list[str]()
    for mip, scale in enumerate(ours.scales):
        name = f"{destination.url}, scale {scale.key}"
        there = theirs.mip_at(scale.resolution)
        if there is not None:
            base = theirs.scales[there]
            if not base.bounds.contains_bbox(scale.bounds):
                raise InputError(
                    f"{name} is {scale.bounds}, which is not inside of the source's {base.bounds}. If it was moved, "
                    "verify the configuration that moved it"
                )
            jobs.append(_job(source, base, destination, ours, Level(scale, Vec.ones()), check))
        elif mip > 0 and (factor := _factor(ours.scales[mip - 1], scale)) is not None:
            jobs.append(_job(destination, ours.scales[mip - 1], destination, ours, Level(scale, factor), check))
        else:
            left_out.append(
                f"{name}: the source has no scale of {format_resolution(scale.resolution)} nm, nor is it the one below "
                "downsampled by whole numbers"
            )
    if not jobs:
        raise InputError(f"{destination.url} has no scale that {source.url} has: {'; '.join(left_out)}")
    return Comparison(tuple(jobs), tuple(left_out))


def _factor(fine: ScaleInfo, coarse: ScaleInfo) -> Vec | None:
    """By how much a scale is coarser, None where it isn't by whole numbers from the same corner."""
    ratios = [b / a for a, b in zip(fine.resolution, coarse.resolution, strict=True)]
    factor = Vec(*(round(ratio) for ratio in ratios))
    whole = all(abs(ratio - n) < 1e-6 and 1 <= n <= LARGEST_FACTOR for ratio, n in zip(ratios, factor, strict=True))
    if not whole or factor == Vec.ones() or coarser_bounds(fine.bounds, factor) != coarse.bounds:
        return None
    return factor


def _job(  # noqa: PLR0917 - the two ends, and what is between them
    source: Location, base: ScaleInfo, destination: Location, info: VolumeInfo, level: Level, check: Check
) -> Job:
    region = level.scale.bounds if level.factor == Vec.ones() else base.bounds
    return Job(
        kind="verify",
        source=Source(source, base, missing="fill"),
        destination=destination,
        voxel=info.voxel,
        levels=(level,),
        region=region,
        translate=Vec.zeros(),
        downsampling=Downsampling(method_for(info.voxel.layer_type)),
        compress=ByteEncoding(default_compression(level.scale.encoding)),
        # Absent is as good as background.
        delete_background=True,
        check=check,
    )
