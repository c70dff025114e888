"""Who this process is, and whether another one lives."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import Any

from cvbatch.process.liveness import process_lives, process_start


def worker_name() -> str:
    """``<host>-<pid>``: names a supervisor in receipts and under ``workers/``."""
    return f"{socket.gethostname()}-{os.getpid()}"


def now_text() -> str:
    """The time in UTC, as ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def identity() -> dict[str, Any]:
    """What tells a process from all others: a pid is used again, a pid and its start are not."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": process_start(os.getpid())}


def surely_dead(process: dict[str, Any]) -> bool:
    """Whether an :func:`identity` is of this host and its process is gone."""
    if process.get("host") != socket.gethostname():
        return False
    return not process_lives(process["pid"], process["started"])


def processors() -> int:
    """Those that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
