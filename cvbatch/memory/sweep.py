"""Finding and freeing segments whose owner is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cvbatch.memory.segment import PREFIX
from cvbatch.process.liveness import process_lives

FOLDER = Path("/dev/shm")


@dataclass(frozen=True)
class SegmentInfo:
    """A segment of some arena: ``owner`` is the pid in its name, ``owned`` whether that process lives."""

    name: str
    nbytes: int
    owner: int
    owned: bool


def _is_locked(handle: int) -> bool:
    """Whether some process holds the owner's lock. If not, the lock is now held through ``handle``."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _inspect(path: Path, unlink_orphan: bool) -> SegmentInfo | None:
    match = re.match(rf"{PREFIX}\w+-(\d+)-\d+$", path.name)
    if match is None:
        return None
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # Gone in the meantime, or another user's.
        return None
    try:
        status = os.fstat(handle)
        owned = _is_locked(handle)
        # A segment without pages was made a moment ago, and its owner is about to lock it.
        owned = owned or (status.st_size == 0 and process_lives(int(match[1])))
        if unlink_orphan and not owned:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    finally:
        os.close(handle)
    return SegmentInfo(path.name, status.st_blocks * 512, int(match[1]), owned)


def list_segments() -> list[SegmentInfo]:
    """The segments of all arenas on this machine that this user may see, by name.

    Empty where the platform doesn't list its segments (macOS).
    """
    found = [_inspect(path, unlink_orphan=False) for path in sorted(FOLDER.glob(f"{PREFIX}*"))]
    return [info for info in found if info is not None]


def sweep_segments() -> list[SegmentInfo]:
    """Free the segments that no living process owns; those that were freed.

    Only segments of arenas are looked at, never ones that a user named.
    """
    found = [_inspect(path, unlink_orphan=True) for path in sorted(FOLDER.glob(f"{PREFIX}*"))]
    return [info for info in found if info is not None and not info.owned]
