"""What was found when chunks were compared with what they should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, order=True)
class Finding:
    """A chunk that is not what it should be.

    ``level`` is the key of its scale, ``chunk`` its name there (``x0-x1_y0-y1_z0-z1``), ``task`` that which writes it.
    ``problem`` is ``missing``, ``damaged`` (it can't be decoded), ``differs``, or ``twice``: two files are the
    chunk, and programs differ in which they read. ``voxels`` differ, by up to ``error``.
    """

    level: str
    chunk: str
    problem: str
    detail: str
    task: str = ""
    voxels: int = 0
    error: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a check came to: ``chunks`` that were compared, their ``voxels``, and what is wrong with some.

    ``error_sum`` adds up how far off the voxels of lossy levels are, right or wrong, ``error_max`` is the largest, and
    ``lossy_voxels`` counts them.
    """

    chunks: int = 0
    voxels: int = 0
    lossy_voxels: int = 0
    error_sum: float = 0.0
    error_max: float = 0.0
    findings: tuple[Finding, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.chunks + other.chunks,
            self.voxels + other.voxels,
            self.lossy_voxels + other.lossy_voxels,
            self.error_sum + other.error_sum,
            max(self.error_max, other.error_max),
            self.findings + other.findings,
        )

    def of_task(self, name: str) -> Verdict:
        """The same, with the name of the task at each finding."""
        return replace(self, findings=tuple(replace(each, task=name) for each in self.findings))

    def with_findings(self, more: Iterable[Finding]) -> Verdict:
        """With findings about chunks that nothing is known of yet."""
        known = {(each.level, each.chunk) for each in self.findings}
        new = (each for each in more if (each.level, each.chunk) not in known)
        return replace(self, findings=tuple(sorted((*self.findings, *new))))

    @property
    def error_mean(self) -> float:
        """How far off a voxel of a lossy level is on average."""
        return self.error_sum / self.lossy_voxels if self.lossy_voxels else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        findings = tuple(Finding(**each) for each in value["findings"])
        return cls(**{**value, "findings": findings})
