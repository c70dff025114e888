"""Whether a process of this machine lives."""

from __future__ import annotations


def process_lives(pid: int, started: float | None = None) -> bool:
    """Whether ``pid`` runs, and, if given, is the process that started at that time (seconds since 1970).

    A zombie doesn't live: it has ended, and its parent hasn't asked how.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return started is None or bool(process.create_time() == started)
    except psutil.NoSuchProcess:
        return False
