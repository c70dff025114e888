"""A byte-budgeted set of shared-memory segments that are used again and again."""

from __future__ import annotations

import itertools
import secrets
import threading
from types import TracebackType
from typing import Self

from cvbatch.errors import MemoryBudgetError
from cvbatch.memory.segment import SharedBlock, segment_name


class Arena:
    """Segments of at most ``budget`` bytes in all, in use or waiting to be used again.

    A segment that was filled before costs two thirds of a fresh one: its pages exist.
    """

    def __init__(self, job_id: str, budget: int) -> None:
        self.budget = budget
        self._job_id = job_id
        # Another arena of this process, or a dead one that had its pid, may work for the same job.
        self._serial = itertools.count(secrets.randbelow(10**8))
        self._lock = threading.Lock()
        self._free: list[SharedBlock] = []
        self._used: list[SharedBlock] = []

    def take(self, nbytes: int) -> SharedBlock:
        """A segment of at least ``nbytes``, with whatever was in it before.

        Raises :class:`MemoryBudgetError` beyond the budget, :class:`SharedMemoryError` where the
        machine has no room.
        """
        with self._lock:
            fitting = [block for block in self._free if block.nbytes >= nbytes]
            if fitting:
                block = min(fitting, key=lambda block: block.nbytes)
                self._free.remove(block)
            else:
                self._make_room(nbytes)
                block = SharedBlock(segment_name(self._job_id, next(self._serial)), nbytes)
            self._used.append(block)
            return block

    def _make_room(self, nbytes: int) -> None:
        """Close the free segments, which are all too small, and see to it that ``nbytes`` more fit."""
        in_use = sum(block.nbytes for block in self._used)
        if in_use + nbytes > self.budget:
            raise MemoryBudgetError(f"{nbytes:,} bytes more than the {in_use:,} in use pass {self.budget:,} bytes")
        for block in self._free:
            block.close()
        self._free = []

    def give(self, block: SharedBlock) -> None:
        """Hand a segment back to be used again."""
        with self._lock:
            self._used.remove(block)
            self._free.append(block)

    def close(self) -> None:
        """Unlink all segments, also those in use."""
        with self._lock:
            for block in self._free + self._used:
                block.close()
            self._free, self._used = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
