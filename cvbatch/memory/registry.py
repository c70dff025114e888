"""Who made which segment of a user's naming: a note for each, in a folder of this user's.

Segments of an arena carry their owner in their name and a lock. A name that a user chose carries nothing, and
its segment is meant to outlive whoever made it; the notes let ``cvbatch shm`` say whose it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvbatch.process.liveness import process_lives, process_start

SEGMENTS = Path("/dev/shm")


@dataclass(frozen=True)
class NamedSegment:
    """A segment that a user named: ``owner`` is the pid that made it, ``owned`` whether that process lives."""

    name: str
    nbytes: int
    owner: int
    owned: bool


def _folder() -> Path | None:
    """Where the notes are, None where somebody else has put something there."""
    folder = Path(tempfile.gettempdir()) / f"cvbatch-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and status.st_uid == os.getuid():
            return folder
    return None


def remember(name: str, nbytes: int) -> None:
    """Note that this process has made a segment. A note that can't be written is not worth a failure."""
    folder = _folder()
    if folder is None:
        return
    note = {"nbytes": nbytes, "pid": os.getpid(), "started": process_start(os.getpid())}
    with contextlib.suppress(OSError):
        partial = folder / f".{os.getpid()}.{name[:100]}"
        partial.write_text(json.dumps(note))
        partial.rename(folder / name)


def forget(name: str) -> None:
    """Remove the note of a segment."""
    folder = _folder()
    if folder is not None:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def named_segments() -> list[NamedSegment]:
    """The segments that users have named and that are still there, by name. Empty on macOS, which lists none."""
    return sorted(_found(), key=lambda segment: segment.name)


def _found() -> Iterator[NamedSegment]:
    folder = _folder()
    if folder is None or not SEGMENTS.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        segment = SEGMENTS / path.name
        if not segment.exists():
            with contextlib.suppress(OSError):
                path.unlink()  # Somebody unlinked the segment by other means.
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(path.read_text())
            alive = process_lives(note["pid"], note["started"])
            yield NamedSegment(path.name, segment.stat().st_size, note["pid"], alive)
