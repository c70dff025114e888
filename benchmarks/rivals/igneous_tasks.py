"""Igneous with two processes: ``igneous_tasks.py transfer|downsample|shard JSON``."""

from __future__ import annotations

import json
import sys
from typing import Any

from cloudfiles.interfaces import reset_connection_pools
from igneous import task_creation as tc
from taskqueue import LocalTaskQueue


def tasks(kind: str, options: dict[str, Any]) -> Any:
    """What Igneous makes of the options."""
    makers = {
        "transfer": tc.create_transfer_tasks,
        "downsample": tc.create_downsampling_tasks,
        "shard": tc.create_image_shard_transfer_tasks,
    }
    return makers[kind](**options)


if __name__ == "__main__":
    made = tasks(sys.argv[1], json.loads(sys.argv[2]))
    queue = LocalTaskQueue(parallel=2, progress=False)
    queue.insert(made)
    # The queue forks; else both processes would talk to a server by the same connection, and get each other's answers.
    reset_connection_pools()
    queue.execute(progress=False)
