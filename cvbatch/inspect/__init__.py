"""Looking at volumes and jobs without changing them."""

from cvbatch.inspect.plan import describe_plan
from cvbatch.inspect.status import JobStatus, job_status
from cvbatch.inspect.volume import describe_volume

__all__ = ["JobStatus", "describe_plan", "describe_volume", "job_status"]
