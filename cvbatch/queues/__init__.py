"""Queues: who hands out batches of tasks."""

from cvbatch.queues.base import Lease, Queue
from cvbatch.queues.local import LocalQueue
from cvbatch.queues.message import Message
from cvbatch.queues.open import open_queue
from cvbatch.queues.shared import Held, QueueCounts, SharedQueue

__all__ = ["Held", "Lease", "LocalQueue", "Message", "Queue", "QueueCounts", "SharedQueue", "open_queue"]
