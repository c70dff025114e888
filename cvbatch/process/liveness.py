"""Whether a process of this machine lives."""

from __future__ import annotations

from pathlib import Path


def process_start(pid: int) -> str | None:
    """What tells a living process from all others with its pid, None for one that doesn't live.

    On Linux the ticks since the machine was started, and which start that was: no change of the clock moves
    them. A zombie doesn't live: it has ended, and its parent hasn't asked how.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return _ticks(pid) or str(process.create_time())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def _ticks(pid: int) -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The second field is the program's name, which may hold anything; the start is the 20th behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{boot}:{fields[19]}"


def process_lives(pid: int, started: str | None = None) -> bool:
    """Whether ``pid`` runs, and, if given, is the process with that :func:`process_start`."""
    found = process_start(pid)
    return found is not None and started in (None, found)
