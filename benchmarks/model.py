"""What a row is made of, and what is found out about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DISAGREE = "the outputs differ"
DOCUMENTS = ("info", "provenance")


class DisagreementError(Exception):
    """Two programs made different voxels."""


@dataclass(frozen=True)
class Program:
    """A process that is measured.

    ``destination`` is removed before each run and, with ``grows_from``, made anew from that volume. ``service`` is
    there while the program runs; its words replace ``{endpoint}`` and the like in ``arguments`` and ``environment``. A
    program that ``reports`` prints JSON with the ``seconds`` that count for it. ``config`` is that of a job of cvbatch,
    ``overrides`` what its command line says more of it. ``share`` is that of the case's voxels which it reads.
    """

    name: str
    arguments: tuple[str, ...]
    destination: Path | None = None
    grows_from: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    service: Callable[[], AbstractContextManager[Mapping[str, str]]] = lambda: nullcontext({})
    reports: bool = False
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    share: float = 1.0

    def prepare(self) -> None:
        """Bring the destination into the state before a run."""
        if self.destination is None:
            return
        shutil.rmtree(self.destination, ignore_errors=True)
        self.destination.parent.mkdir(parents=True, exist_ok=True)
        if self.grows_from is not None:
            shutil.copytree(self.grows_from, self.destination, copy_function=_link_or_copy)

    def clear(self) -> None:
        """Give the memory of the destination back."""
        if self.destination is not None:
            shutil.rmtree(self.destination, ignore_errors=True)

    def output_bytes(self) -> int | None:
        """What it has added to the destination, without the state of the job."""
        if self.destination is None:
            return None
        return stored_bytes(self.destination) - (stored_bytes(self.grows_from) if self.grows_from else 0)


def _link_or_copy(source: str, target: str) -> None:
    """Chunks of a source are not written to, so that they can be links; its documents are."""
    if Path(source).name in DOCUMENTS:
        shutil.copy(source, target)
    else:
        Path(target).hardlink_to(source)


def chunk_files(volume: Path) -> dict[str, Path]:
    """All files but documents and states, by their names below the volume."""
    files = (path for path in volume.rglob("*") if path.is_file() and ".cvbatch" not in path.parts)
    return {str(path.relative_to(volume)): path for path in files if path.name not in DOCUMENTS}


def stored_bytes(volume: Path) -> int:
    """Of the chunks."""
    return sum(path.stat().st_size for path in chunk_files(volume).values())


@dataclass(frozen=True)
class Result:
    """Of a program: medians of its turns, and the memory of the run before them; or what went wrong."""

    name: str
    seconds: float = 0.0
    spread: tuple[float, float] = (0.0, 0.0)
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    output_bytes: int | None = None
    turns: int = 0
    reported: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    projected_bytes: int | None = None
    worker_bytes: int | None = None
    error: str | None = None


Results = Mapping[str, Result]


@dataclass(frozen=True)
class Target:
    """A number that should be at least, or at most, so large; ``value`` is given the results by programs' names.

    With ``at_most`` it should be between both.
    """

    what: str
    limit: float
    value: Callable[[Results], float]
    at_least: bool = True
    unit: str = "×"
    at_most: float | None = None


@dataclass(frozen=True)
class Case:
    """Programs that do the same, the first of them cvbatch; ``check`` says in which way they agree.

    ``voxel_bytes`` are of the voxels that are read, by which rates are told; None where that means nothing.
    """

    name: str
    programs: tuple[Program, ...]
    targets: tuple[Target, ...] = ()
    voxel_bytes: int | None = None
    check: Callable[[Results], str] | None = None


@dataclass(frozen=True)
class Verdict:
    """A target, and what is the case."""

    what: str
    limit: float
    at_least: bool
    unit: str
    value: float | None
    at_most: float | None = None

    @property
    def reached(self) -> bool:
        if self.value is None:
            return False
        if self.at_most is not None and self.value > self.at_most:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class CaseResult:
    """What became of a case: each target's value, or None where a program failed that it needs."""

    name: str
    voxel_bytes: int | None
    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    agreement: str = ""

    @property
    def agrees(self) -> bool:
        """As far as outputs were compared."""
        return not self.agreement.startswith(DISAGREE)


def judge(targets: tuple[Target, ...], results: Results) -> tuple[Verdict, ...]:
    """Compare results with targets."""
    verdicts = []
    for target in targets:
        try:
            value = target.value(results)
        except (KeyError, ZeroDivisionError, AssertionError):
            value = None
        verdicts.append(Verdict(target.what, target.limit, target.at_least, target.unit, value, target.at_most))
    return tuple(verdicts)
