"""Queues: who hands out batches of tasks."""

from cvbatch.queues.base import Lease, Queue
from cvbatch.queues.local import LocalQueue

__all__ = ["Lease", "LocalQueue", "Queue"]
