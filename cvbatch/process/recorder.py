"""What a worker was doing when it died: the name of the chunk that a decoder was given."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SLOT_BYTES = 512
SLOTS = 64


class Recorder:
    """Notes in a file without a name, which outlives the process that writes them. ``handle`` None notes nothing."""

    def __init__(self, handle: int | None = None) -> None:
        self._handle = handle

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Note what this thread does until the end of the block."""
        if self._handle is None:
            yield
            return
        # A thread has a slot of its own; where two share one, the later note stands.
        slot = threading.get_native_id() % SLOTS * SLOT_BYTES
        os.pwrite(self._handle, what.encode()[:SLOT_BYTES].ljust(SLOT_BYTES, b"\0"), slot)
        try:
            yield
        finally:
            os.pwrite(self._handle, bytes(SLOT_BYTES), slot)


def notes_in(handle: int) -> list[str]:
    """What the threads of a process that died were doing."""
    size = os.fstat(handle).st_size
    slots = [os.pread(handle, SLOT_BYTES, start).rstrip(b"\0") for start in range(0, size, SLOT_BYTES)]
    return [slot.decode(errors="replace") for slot in slots if slot]
