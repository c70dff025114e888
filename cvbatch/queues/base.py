"""The contract of a queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from cvbatch.metadata import Batch


class Lease(Protocol):
    """A batch that was handed out, until it is acknowledged, handed back, or was held for too long."""

    @property
    def batch(self) -> Batch:
        """What was handed out."""
        ...

    def extend(self) -> bool:
        """Hold the batch for as long again, from now on; False where somebody else may have it by now."""
        ...

    def ack(self) -> None:
        """The batch is dealt with: nobody else gets it. Does nothing where it is not ours any more."""
        ...

    def release(self) -> None:
        """Hand the batch back, for somebody else to take at once. Does nothing where it is not ours any more."""
        ...


class Queue(Protocol):
    """Batches waiting for somebody to lease them."""

    def insert(self, batches: Iterable[Batch], delay_seconds: float = 0) -> None:
        """Add batches that can be leased after a delay."""
        ...

    def lease(self) -> Lease | None:
        """A batch, or None where none can be had now."""
        ...

    def seconds_to_next(self) -> float | None:
        """How long until a batch may be had, None where none will come."""
        ...
