"""The contract of a queue that several machines share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class QueueCounts:
    """What a shared queue says that it holds; a service counts only roughly. ``waiting`` can be leased or will be.

    A folder counts messages that are delayed as ``leased``, because it can't tell them apart.
    """

    waiting: int
    leased: int


class SharedQueue(Protocol):
    """Messages for the workers of many machines: texts, which the queue does not read.

    Raises :class:`~cvbatch.errors.QueueError` where it can't be reached, and what derives from it where it never will.
    """

    url: str

    def send(self, bodies: Iterable[str], delay_seconds: float = 0) -> None:
        """Add messages; returns when all are safe."""
        ...

    def receive(self, lease_seconds: float, wait_seconds: float = 0) -> Held | None:
        """A message that nobody else gets for ``lease_seconds``, or None where none came while we waited."""
        ...

    def counts(self) -> QueueCounts:
        """What is in the queue."""
        ...

    def create(self, lease_seconds: float) -> None:
        """Make the queue, if it isn't there."""
        ...

    def release_all(self) -> None:
        """Make all messages that are held available. Raises QueueUnavailableError where a service can't."""
        ...

    def purge(self) -> None:
        """Remove all messages."""
        ...

    def close(self) -> None:
        """Give up its connections. It can't be used any more."""
        ...


class Held(Protocol):
    """A received message. Calls say False, and do nothing, where the message may be somebody else's by now."""

    @property
    def body(self) -> str:
        """The text that was sent."""
        ...

    def extend(self, lease_seconds: float) -> bool:
        """Hold it for so long from now on."""
        ...

    def ack(self) -> bool:
        """Remove it."""
        ...

    def bury(self) -> bool:
        """Put it aside, where nobody receives it but people can read it."""
        ...

    def release(self, delay_seconds: float = 0) -> bool:
        """Hand it back, for others to receive after a delay."""
        ...
