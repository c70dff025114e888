"""What is written once, before the first task."""

from __future__ import annotations

from dataclasses import replace

from cvbatch.errors import DestinationMismatchError
from cvbatch.formats.precomputed import read_info, read_provenance, write_info
from cvbatch.metadata import Job, ScaleInfo, VolumeInfo
from cvbatch.planner import Plan
from cvbatch.runtime.forget import forget_makers
from cvbatch.storage import open_store


def prepare_destination(plan: Plan) -> None:
    """Make the destination's ``info``, or append the scales that it lacks; nothing for a job that only compares.

    Before something is deleted, the jobs that made it are no longer done.

    Raises :class:`DestinationMismatchError` where a scale of the job is there and is not what the job was made for,
    because somebody changed it in the meantime, and :class:`~cvbatch.errors.ProvenanceError` where at the end the
    provenance couldn't be written, because it is damaged.
    """
    job = plan.job
    if job.check is not None:
        return
    store = open_store(job.destination)
    read_provenance(store)
    if job.kind == "delete" and not job.delete_background:
        forget_makers(plan)
    wanted = tuple(level.scale for level in job.levels)
    found = read_info(store)
    if found is None:
        write_info(store, VolumeInfo(job.voxel, wanted, {"@type": "neuroglancer_multiscale_volume"}))
        return
    missing = _missing(job, found)
    if missing:
        write_info(store, replace(found, scales=(*found.scales, *missing)))


def missing_scales(job: Job) -> list[ScaleInfo]:
    """The scales of the job that the destination's ``info`` lacks.

    Raises :class:`DestinationMismatchError` for those that changed.
    """
    found = read_info(open_store(job.destination))
    return [level.scale for level in job.levels] if found is None else _missing(job, found)


def check_destination(job: Job) -> None:
    """Raise :class:`DestinationMismatchError` where the destination is not, or no longer, prepared for the job."""
    missing = missing_scales(job)
    if missing and job.check is None:
        raise DestinationMismatchError(
            f"{job.destination.url} has no scale {missing[0].key} any more, which job {job.id} writes"
        )


def _missing(job: Job, found: VolumeInfo) -> list[ScaleInfo]:
    """The scales of the job that are not there. Raises :class:`DestinationMismatchError` for those that changed."""
    missing = []
    for scale in (level.scale for level in job.levels):
        mip = found.mip_at(scale.resolution)
        if mip is None:
            missing.append(scale)
        elif found.scales[mip] != scale:
            raise DestinationMismatchError(
                f"{job.destination.url}: scale {scale.key} changed since the job was made: it is {found.scales[mip]}, "
                f"the job writes {scale}"
            )
    return missing
