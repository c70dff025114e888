"""How much memory this process has."""

from __future__ import annotations

import resource
import sys


def memory_bytes() -> int:
    """What is resident now, shared memory too."""
    found = _status("VmRSS:")
    if found is not None:
        return found
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """The most that was resident at any time, shared memory too."""
    # What getrusage says begins with what the process had that started this one.
    found = _status("VmHWM:")
    if found is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(name: str) -> int | None:
    """Bytes that Linux says of this process; None on other systems."""
    try:
        with open("/proc/self/status") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith(name)), None)
    except OSError:
        return None
