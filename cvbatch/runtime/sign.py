"""What a finished job leaves in the destination's provenance."""

from __future__ import annotations

from cvbatch.formats.precomputed import add_processing
from cvbatch.planner import Plan
from cvbatch.runtime.host import now_text, worker_name
from cvbatch.storage import open_store
from cvbatch.version import __version__


def sign(plan: Plan) -> None:
    """Write into the destination's provenance what was done to it, once."""
    job = plan.job
    entry = {
        "method": {
            "task": f"cvbatch {job.kind}",
            "job": job.id,
            "version": __version__,
            "source": job.source.location.url,
            "destination": job.destination.url,
            "region": job.region.to_list(),
            "translate": list(job.translate),
            "scales": [level.scale.key for level in job.levels],
            "downsample": {"method": job.downsampling.method, "sparse": job.downsampling.sparse},
            "compress": job.compress.name,
        },
        "by": worker_name().rsplit("-", 1)[0],
        "date": now_text(),
    }
    add_processing(open_store(job.destination), entry, job.source.location.url)
