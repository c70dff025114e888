"""A leased batch on its way: which of its tasks are out, done or failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from cvbatch.counts import Counts
from cvbatch.metadata import Batch, Receipt, Task
from cvbatch.queues import Lease
from cvbatch.runtime.host import now_text, worker_name
from cvbatch.runtime.ranges import runs_of
from cvbatch.runtime.workers import TaskError


@dataclass
class Flight:
    """The tasks of one lease: ``waiting`` to be given to a worker, ``out`` with one, ``done`` or ``failed``."""

    lease: Lease
    waiting: deque[Task] = field(default_factory=deque)
    out: set[Task] = field(default_factory=set)
    done: dict[int, Counts] = field(default_factory=dict)
    failed: dict[Task, TaskError] = field(default_factory=dict)

    @classmethod
    def of(cls, lease: Lease) -> Flight:
        return cls(lease, deque(lease.batch.tasks()))

    @property
    def landed(self) -> bool:
        """Whether nothing is waiting or out any more."""
        return not self.waiting and not self.out

    def rest(self) -> list[Batch]:
        """What was neither done nor failed, when it had to be left."""
        batch = self.lease.batch
        left = {task.index for task in batch.tasks()} - self.done.keys() - {task.index for task in self.failed}
        return [Batch(batch.job_id, batch.pass_number, start, stop) for start, stop in runs_of(left)]

    def receipts(self) -> Iterator[Receipt]:
        """A receipt for each unbroken run of tasks that are done."""
        batch = self.lease.batch
        for start, stop in runs_of(self.done):
            counts = reduce(add, (self.done[index] for index in range(start, stop)))
            yield Receipt(Batch(batch.job_id, batch.pass_number, start, stop), counts, now_text(), worker_name())
