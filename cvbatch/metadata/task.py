"""The unit of work and the unit of a queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Task:
    """One box of one pass, by its number. What it means follows from the plan of the job."""

    job_id: str
    pass_number: int
    index: int

    @property
    def name(self) -> str:
        return f"{self.pass_number}-{self.index}"


@dataclass(frozen=True, order=True)
class Batch:
    """Tasks [start, stop) of a pass: what one message carries."""

    job_id: str
    pass_number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def tasks(self) -> Iterator[Task]:
        return (Task(self.job_id, self.pass_number, index) for index in range(self.start, self.stop))
