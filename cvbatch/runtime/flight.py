"""A leased batch on its way: which of its tasks are out, done or failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from cvbatch.counts import TaskResult
from cvbatch.metadata import Batch, Course, Receipt, Task
from cvbatch.process.host import now_text, worker_name
from cvbatch.queues import Lease
from cvbatch.runtime.ranges import runs_of
from cvbatch.runtime.workers import Done, TaskError


@dataclass
class Flight:
    """The tasks of one lease: ``waiting`` to be given to a worker, ``out`` with one, ``done`` or ``failed``."""

    lease: Lease
    waiting: deque[Task] = field(default_factory=deque)
    out: set[Task] = field(default_factory=set)
    done: dict[int, Done] = field(default_factory=dict)
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

    def receipts(self, errors: Mapping[Task, Sequence[str]]) -> Iterator[Receipt]:
        """A receipt for each unbroken run of tasks that are done; ``errors`` are those of earlier attempts."""
        batch = self.lease.batch
        for start, stop in runs_of(self.done):
            tasks = range(start, stop)
            done = [self.done[index] for index in tasks]
            retried = {
                i: tuple(found) for i in tasks if (found := errors.get(Task(batch.job_id, batch.pass_number, i)))
            }
            course = Course(
                seconds=tuple(each.seconds for each in done),
                filled=tuple(i for i in tasks if self.done[i].result.counts.chunks_filled),
                retried=retried,
                peak_memory_bytes=max(each.peak_memory_bytes for each in done),
            )
            result = reduce(TaskResult.__add__, (each.result for each in done))
            yield Receipt(
                Batch(batch.job_id, batch.pass_number, start, stop), result, now_text(), worker_name(), course
            )
