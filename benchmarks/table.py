"""What was found, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.model import CaseResult, Result, Verdict
from benchmarks.rows import Row

REACHED, MISSED = "reached", "**missed**"
RUN = """```sh
python3 -m venv .venv && .venv/bin/pip install --quiet -e '.[test]'
.venv/bin/python -m benchmarks rivals RIVALS     # an environment for the other programs
.venv/bin/python -m benchmarks --rivals RIVALS --output docs/benchmarks.md --json results.json
```"""


@dataclass(frozen=True)
class Document:
    """All that is told."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    turns: int
    real_data: bool
    rows: Sequence[tuple[Row, Sequence[CaseResult]]]

    def to_json(self) -> dict[str, Any]:
        """With every number."""
        rows = [
            {"row": row.key, "title": row.title, "how": row.how, "cases": [_case_json(case) for case in cases]}
            for row, cases in self.rows
        ]
        return {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "turns": self.turns,
            "real_data": self.real_data,
            "rows": rows,
        }

    def to_markdown(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        machine, versions = self.machine, self.versions
        targets = list(self._targets())
        yield from ("# Benchmarks", "")
        yield (
            f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory']} of memory, "
            f"Linux {machine['kernel']}, Python {machine['python']}."
        )
        yield ""
        yield f"Compared are {', '.join(f'{name} {version}' for name, version in versions.items())}."
        yield ""
        yield from _paragraphs(self.turns, self.real_data)
        yield from ("", "How to run it, in a clone of this repository:", "", RUN, "")
        yield from (
            "## Targets",
            "",
            f"{sum(each[-1] == REACHED for each in targets)} of {len(targets)} are reached.",
            "",
        )
        yield from _table(("row", "what", "target", "measured", ""), iter(targets))
        yield from ("", "## Measurements", "")
        head = ("row", "program", "wall s", "fastest – slowest", "CPU s", "peak MB", "out MB", "MB/s", "to cvbatch's")
        yield from _table(head, self._measurements())
        yield from ("", "## How each row was measured", "")
        for row, cases in self.rows:
            yield f"- **{row.key}**, {row.title}. {row.how}"
            for case in cases:
                if case.agreement:
                    yield f"  - {case.name}: {_without_places(case.agreement)}."
                for result in case.results:
                    if result.error is not None:
                        yield f"  - {case.name}, {result.name} failed: `{_without_places(result.error)}`"

    def _targets(self) -> Iterator[tuple[str, ...]]:
        for _, cases in self.rows:
            for case in cases:
                if case.agreement:
                    yield (case.name, "outputs agree", "yes", *(("yes", REACHED) if case.agrees else ("no", MISSED)))
                for verdict in case.verdicts:
                    yield (case.name, verdict.what, _limit(verdict), _value(verdict), _said(verdict))

    def _measurements(self) -> Iterator[tuple[str, ...]]:
        for _, cases in self.rows:
            for case in cases:
                for result in case.results:
                    yield (case.name, result.name, *_numbers(case, result))


def _paragraphs(turns: int, real_data: bool) -> Iterator[str]:
    told = "one turn" if turns == 1 else f"the median of {turns} turns"
    yield (
        f"Each program ran as a whole process, in turn with the others (A B A B); told is {told}, "
        "after one that warmed up, in which memory was looked at and outputs were compared. All files were in "
        "memory (tmpfs) and warm; destinations were removed before each turn. CPU is that of all processes of a "
        "program; memory is the most that they had together, shared pages counted once, looked at every 20 ms. "
        "MB are 10⁶ bytes; MB/s are of the source's voxels, uncompressed. Programs have two processes, or two threads, "
        "if nothing else is said."
    )
    yield ""
    if real_data:
        yield (
            "EM is a stack of serial-section electron microscopy, 512 × 512 × 30 uint8, mirrored to 1024 × 1024 × 128 "
            "with noise of ±2 in the copies; labels are a segmentation of 512 × 512 × 256 with 1,084 labels, as "
            "uint64. “×4” is four copies along z."
        )
    else:
        yield (
            "The real data is not here: EM (1024 × 1024 × 128 uint8) and labels (512 × 512 × 256 uint64) are those "
            "that `cvbatch sample` makes up. “×4” is four copies along z."
        )


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _limit(verdict: Verdict) -> str:
    if verdict.at_most is not None:
        return f"{_number(verdict.limit)} – {_number(verdict.at_most)}{verdict.unit}"
    return f"{'≥' if verdict.at_least else '≤'} {_number(verdict.limit)}{verdict.unit}"


def _value(verdict: Verdict) -> str:
    return "error" if verdict.value is None else f"{_number(verdict.value)}{verdict.unit}"


def _said(verdict: Verdict) -> str:
    return REACHED if verdict.reached else MISSED


def _numbers(case: CaseResult, result: Result) -> tuple[str, ...]:
    if result.error is not None:
        return ("error", "", "", "", "", "", "")
    ours = case.results[0]
    return (
        f"{result.seconds:.3f}",
        f"{result.spread[0]:.3f} – {result.spread[1]:.3f}",
        f"{result.cpu_seconds:.2f}",
        f"{result.peak_bytes / 1e6:,.0f}",
        "" if result.output_bytes is None else f"{result.output_bytes / 1e6:,.2f}",
        _rate(case, result),
        "" if result is ours or ours.error is not None else f"{result.seconds / ours.seconds:.2f}×",
    )


def _without_places(error: str) -> str:
    """The end of an error, without the folders of this machine."""
    text = re.sub(r"(?<![\w:/])/(?:[\w.-]+/)+", "…/", " ".join(error.split()))
    return text[-300:].replace("`", "'")


def _rate(case: CaseResult, result: Result) -> str:
    if case.voxel_bytes is None or not result.share:
        return ""
    return f"{case.voxel_bytes * result.share / result.seconds / 1e6:,.0f}"


def _case_json(case: CaseResult) -> dict[str, Any]:
    found = asdict(case)
    for verdict, told in zip(case.verdicts, found["verdicts"], strict=True):
        told["reached"] = verdict.reached
    return found


def save(document: Document, markdown: Path | None, as_json: Path | None) -> None:
    """Write both, where they are wanted."""
    for path, text in ((markdown, document.to_markdown()), (as_json, json.dumps(document.to_json(), indent=1) + "\n")):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
