"""Looking at volumes and jobs without changing them."""

from cvbatch.inspect.doctor import Diagnosis, Finding, diagnose
from cvbatch.inspect.metrics import Metrics, serve_metrics
from cvbatch.inspect.plan import describe_plan
from cvbatch.inspect.status import JobStatus, job_status
from cvbatch.inspect.volume import describe_volume

__all__ = [
    "Diagnosis",
    "Finding",
    "JobStatus",
    "Metrics",
    "describe_plan",
    "describe_volume",
    "diagnose",
    "job_status",
    "serve_metrics",
]
