"""What a finished job leaves in the destination's provenance."""

from __future__ import annotations

from cvbatch.formats.precomputed import add_processing, was_processed
from cvbatch.planner import Plan
from cvbatch.process.host import now_text, worker_name
from cvbatch.runtime.state import State
from cvbatch.storage import open_store
from cvbatch.version import __version__


def sign(plan: Plan, state: State) -> None:
    """Write into the destination's provenance what was done to it, once, with what all receipts come to."""
    job, store = plan.job, open_store(plan.job.destination)
    if was_processed(store, job.id):
        return
    counts = state.counts()
    entry = {
        "method": {
            "task": f"cvbatch {job.kind}",
            "job": job.id,
            "version": __version__,
            "voxels": job.region.volume(),
            "chunks": {
                "read": counts.chunks_read,
                "filled": counts.chunks_filled,
                "written": counts.chunks_written,
                "deleted": counts.chunks_deleted,
            },
            "configuration": job.to_json(),
        },
        "by": worker_name().rsplit("-", 1)[0],
        "date": now_text(),
    }
    add_processing(store, entry, job.source.location.url)
