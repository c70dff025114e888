"""What was done to chunks, and where the time went."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from cvbatch.findings import Verdict

STAGES = ("fetch", "decode", "paint", "downsample", "encode", "store")


@dataclass(frozen=True)
class Counts:
    """Totals of a task, a batch or a run. ``stages`` holds seconds summed over threads, also of ``compare`` in checks.

    ``chunks_read`` were there and were fetched, ``chunks_filled`` were absent and read as background,
    ``chunks_copied`` went through without being decoded, ``chunks_written`` were stored (the copied
    ones too), ``chunks_deleted`` were all background and are not there. Bytes are as stored.
    """

    chunks_read: int = 0
    chunks_filled: int = 0
    chunks_copied: int = 0
    chunks_written: int = 0
    chunks_deleted: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = asdict(self), asdict(other)
        names = dict.fromkeys((*self.stages, *other.stages))
        stages = {name: self.stages.get(name, 0.0) + other.stages.get(name, 0.0) for name in names}
        return Counts(**{k: mine[k] + theirs[k] for k in mine if k != "stages"}, stages=stages)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


@dataclass(frozen=True)
class TaskResult:
    """What a task has done; ``verdict`` is what it found where it was to compare, else None."""

    counts: Counts
    verdict: Verdict | None = None

    def __add__(self, other: TaskResult) -> TaskResult:
        both = (self.verdict, other.verdict)
        verdicts = [verdict for verdict in both if verdict is not None]
        return TaskResult(self.counts + other.counts, sum(verdicts, Verdict()) if verdicts else None)

    def to_json(self) -> dict[str, Any]:
        verdict = {} if self.verdict is None else {"verdict": self.verdict.to_json()}
        return {"counts": self.counts.to_json(), **verdict}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        verdict = Verdict.from_json(value["verdict"]) if "verdict" in value else None
        return cls(Counts.from_json(value["counts"]), verdict)


class Tally:
    """Counts and a verdict in the making; threads add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, int] = {}
        self._stages = dict.fromkeys(STAGES, 0.0)
        self._verdict: Verdict | None = None

    def add(self, **amounts: int) -> None:
        """Add to the members of :class:`Counts` that are named."""
        with self._lock:
            for name, amount in amounts.items():
                self._totals[name] = self._totals.get(name, 0) + amount

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            with self._lock:
                self._stages[name] = self._stages.get(name, 0.0) + seconds

    def judge(self, verdict: Verdict) -> None:
        """Add what was found about a chunk."""
        with self._lock:
            self._verdict = verdict if self._verdict is None else self._verdict + verdict

    def counts(self) -> Counts:
        with self._lock:
            return Counts(**self._totals, stages=dict(self._stages))

    def result(self, task: str) -> TaskResult:
        """All of it, of a task with this name."""
        return TaskResult(self.counts(), None if self._verdict is None else self._verdict.of_task(task))
