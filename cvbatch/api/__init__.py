"""Jobs from Python: the functions behind the commands."""

from cvbatch.api.jobs import describe, enqueue, failures, plan, resume, run
from cvbatch.api.verify import VerifyOptions, verify, verify_volumes
from cvbatch.config import load_config

__all__ = [
    "VerifyOptions",
    "describe",
    "enqueue",
    "failures",
    "load_config",
    "plan",
    "resume",
    "run",
    "verify",
    "verify_volumes",
]
