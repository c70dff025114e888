"""A queue that several machines share, as the supervisor of one job sees it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from cvbatch.errors import CvbatchError, MessageError, QueueError, UnreadableMessageError
from cvbatch.events import MessageRefused, Subscriber
from cvbatch.metadata import Batch
from cvbatch.queues import Held, Message, SharedQueue
from cvbatch.runtime.state import State

# An empty queue is asked less and less often.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0
# Meanwhile no task begins and no result is taken in.
LONG_POLL_SECONDS = 1.0
# What one worker can't use another one may, but not at once.
REFUSED_SECONDS = 60.0


@dataclass(frozen=True)
class SharedLease:
    """A message that was received, and what it says."""

    held: Held
    message: Message
    lease_seconds: float

    @property
    def batch(self) -> Batch:
        return self.message.batch

    def extend(self) -> bool:
        try:
            return self.held.extend(self.lease_seconds)
        except QueueError:
            return True  # Nobody said that it is lost. It is asked again well before that.

    def ack(self) -> None:
        # A message that comes back is known by its receipt.
        with suppress(QueueError):
            self.held.ack()

    def release(self) -> None:
        # Else it comes back when its time is over.
        with suppress(QueueError):
            self.held.release()


@dataclass
class Intake:
    """Takes messages from a queue, less and less often while it is empty. What can't be understood is handed back."""

    queue: SharedQueue
    lease_seconds: float
    tell: Subscriber
    # In a row.
    times_empty: int = 0
    _not_before: float = 0.0

    def take(self) -> SharedLease | None:
        """A message, or None where none can be had now."""
        if self.pause_seconds > 0:
            return None
        held = self._receive()
        if held is None:
            pause = min(FIRST_PAUSE_SECONDS * 2.0**self.times_empty, LONGEST_PAUSE_SECONDS)
            self._not_before = time.monotonic() + random.uniform(0.5, 1.0) * pause  # noqa: S311 - nothing secret
            self.times_empty = min(self.times_empty + 1, 30)
            return None
        self.times_empty = 0
        try:
            return SharedLease(held, Message.decode(held.body), self.lease_seconds)
        except UnreadableMessageError as error:
            held.bury()
            self.tell(MessageRefused(f"{error}, and put aside"))
        except MessageError as error:
            self.refuse(held, error)
        return None

    def _receive(self) -> Held | None:
        """A message; None also where the queue is out of order, which it may not be for ever."""
        try:
            # A service that isn't waited for answers at times that it has nothing when it has.
            return self.queue.receive(self.lease_seconds, LONG_POLL_SECONDS if self.times_empty else 0.0)
        except QueueError as error:
            if not error.retryable:
                raise
            self.tell(MessageRefused(str(error)))
            return None

    def refuse(self, held: Held, error: CvbatchError) -> None:
        """Hand back what we have no use for."""
        with suppress(QueueError):
            held.release(REFUSED_SECONDS)
        self.tell(MessageRefused(str(error)))

    @property
    def pause_seconds(self) -> float:
        """How long until the queue is asked again."""
        return max(0.0, self._not_before - time.monotonic())


@dataclass
class JobQueue:
    """The messages of one job, beginning with one that was received. Those of others end it: see ``foreign``."""

    intake: Intake
    state: State
    first: SharedLease | None
    max_attempts: int
    is_over: Callable[[], bool]
    foreign: SharedLease | None = None
    _ended: bool = field(default=False, init=False)

    def insert(self, batches: Iterable[Batch], delay_seconds: float = 0) -> None:
        place = self.state.location
        bodies = [Message(batch, place, self.max_attempts).encode() for batch in batches]
        if bodies:
            self.intake.queue.send(bodies, delay_seconds)

    def lease(self) -> SharedLease | None:
        lease, self.first = self.first, None
        if lease is None and not self._is_ended():
            lease = self.intake.take()
        if lease is None:
            return None
        if lease.batch.job_id != self.state.job_id:
            self.foreign = lease
            return None
        if self.state.has_receipt(lease.batch):
            lease.ack()  # Done already: it was sent twice, or came back after its owner was taken for dead.
            return None
        return lease

    def seconds_to_next(self) -> float | None:
        if self.first is not None:
            return 0.0
        return None if self._is_ended() else self.intake.pause_seconds

    def _is_ended(self) -> bool:
        self._ended = self._ended or self.foreign is not None or self.is_over()
        return self._ended
