"""A queue in the memory of one process."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cvbatch.metadata import Batch


@dataclass(frozen=True)
class LocalLease:
    """A batch out of a :class:`LocalQueue`."""

    batch: Batch
    queue: LocalQueue

    def extend(self) -> bool:
        return True

    def ack(self) -> None:
        """Nothing to do: the queue has forgotten the batch when it handed it out."""

    def release(self) -> None:
        self.queue.insert([self.batch])


class LocalQueue:
    """Batches in the order in which they were inserted, the delayed ones when their time has come.

    Leases don't expire: whoever holds one lives and dies with the queue. ``now`` is the clock, in seconds.
    """

    def __init__(self, batches: Iterable[Batch] = (), now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._serial = itertools.count()
        self._heap: list[tuple[float, int, Batch]] = []
        self.insert(batches)

    def insert(self, batches: Iterable[Batch], delay_seconds: float = 0) -> None:
        # Batches without delay sort before all delayed ones that are due, in the order of insertion.
        due = self._now() + delay_seconds if delay_seconds else 0.0
        for batch in batches:
            heapq.heappush(self._heap, (due, next(self._serial), batch))

    def lease(self) -> LocalLease | None:
        if not self._heap or self._heap[0][0] > self._now():
            return None
        return LocalLease(heapq.heappop(self._heap)[2], self)

    def seconds_to_next(self) -> float | None:
        return max(0.0, self._heap[0][0] - self._now()) if self._heap else None
