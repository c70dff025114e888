"""Runs a case: once for memory and for what comes out, then turn by turn for time."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from benchmarks.environment import cvbatch
from benchmarks.measure import Measurement, ProgramError, measure
from benchmarks.model import DISAGREE, Case, CaseResult, DisagreementError, Program, Result, judge

#: What may go wrong with a program, or with what it has left behind.
FAILURES = (ProgramError, OSError, ValueError, KeyError, IndexError, AssertionError, subprocess.SubprocessError)


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class _Record:
    """What is known of a program so far."""

    program: Program
    first: Result
    runs: list[Measurement] = field(default_factory=list)

    def result(self) -> Result:
        if self.first.error is not None or not self.runs:
            return self.first
        seconds = [_seconds(self.program, run) for run in self.runs]
        reports = [run.reported() for run in self.runs] if self.program.reports else []
        return replace(
            self.first,
            seconds=statistics.median(seconds),
            spread=(min(seconds), max(seconds)),
            cpu_seconds=statistics.median(run.cpu_seconds for run in self.runs),
            turns=len(self.runs),
            reported=_medians(reports),
        )


def _seconds(program: Program, run: Measurement) -> float:
    return float(run.reported()["seconds"]) if program.reports else run.wall_seconds


def _medians(reports: list[dict[str, object]]) -> dict[str, object]:
    """Of numbers; of everything else the first."""
    found: dict[str, object] = {}
    for name, value in (reports[0] if reports else {}).items():
        found[name] = statistics.median(each[name] for each in reports) if isinstance(value, int | float) else value  # type: ignore[type-var]
    return found


def _run(program: Program, memory: bool) -> Measurement:
    program.prepare()
    with program.service() as words:
        return measure(*_filled(program, program.arguments, words), memory=memory)


def _filled(program: Program, arguments: tuple[str, ...], words: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment, with the words of the service in them."""

    def fill(text: str) -> str:
        for name, value in words.items():
            text = text.replace("{" + name + "}", value)
        return text

    return [fill(each) for each in arguments], {name: fill(value) for name, value in program.environment.items()}


def _projected(program: Program) -> int | None:
    """What the plan of a job says that a worker will need."""
    if program.config is None:
        return None
    program.prepare()
    with program.service() as words:
        arguments, environment = _filled(
            program, cvbatch("plan", "--json", str(program.config), *program.overrides), words
        )
        return int(json.loads(measure(arguments, environment).stdout)["worker"]["memory_projected_bytes"])


def _worker_bytes(program: Program) -> int | None:
    """The largest worker, as the receipts have it."""
    if program.config is None or program.destination is None:
        return None
    receipts = program.destination.glob(".cvbatch/*/receipts/*.json")
    return max((int(json.loads(each.read_text()).get("peak_memory_bytes", 0)) for each in receipts), default=None)


def _first(program: Program) -> _Record:
    """The run that warms up, and in which memory is looked at."""
    try:
        projected = _projected(program)
        run = _run(program, memory=True)
        result = Result(
            program.name,
            seconds=_seconds(program, run),
            peak_bytes=run.peak_bytes or 0,
            output_bytes=program.output_bytes(),
            projected_bytes=projected,
            worker_bytes=_worker_bytes(program),
            reported=run.reported() if program.reports else {},
            share=program.share,
        )
    except FAILURES as error:
        result = Result(program.name, error=f"{type(error).__name__}: {error}")
    say(f"    {program.name}: {result.error or f'{result.seconds:.2f} s'}")
    return _Record(program, result)


def run_case(case: Case, turns: int) -> CaseResult:
    """All programs once, then in turn; what fails is an error in the result."""
    say(f"  {case.name}")
    records = [_first(program) for program in case.programs]
    agreement = _agreement(case, records)
    if agreement:
        say(f"    {agreement}")
    for number in range(turns):
        for record in records:
            if record.first.error is not None:
                continue
            try:
                run = _run(record.program, memory=False)
                _seconds(record.program, run)
            except FAILURES as error:
                record.first = replace(record.first, error=f"{type(error).__name__}: {error}")
                say(f"    {record.program.name}: {record.first.error}")
            else:
                record.runs.append(run)
        times = (f"{each.program.name} {_seconds(each.program, each.runs[-1]):.2f}" for each in records if each.runs)
        say(f"    turn {number + 1}: {', '.join(times)}")
    for record in records:
        record.program.clear()
    results = tuple(record.result() for record in records)
    verdicts = judge(case.targets, {each.name: each for each in results if each.error is None})
    return CaseResult(case.name, case.voxel_bytes, results, verdicts, agreement)


def _agreement(case: Case, records: list[_Record]) -> str:
    """Whether all have made the same, in words."""
    if case.check is None or any(each.first.error is not None for each in records):
        return ""
    try:
        return case.check({each.program.name: each.first for each in records})
    except (DisagreementError, *FAILURES) as error:
        return f"{DISAGREE}: {error}"
