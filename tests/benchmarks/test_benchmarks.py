"""What measures, and what tells it; the measurements themselves are not run here."""

import sys
from pathlib import Path

import pytest

from benchmarks.measure import ProgramError, measure
from benchmarks.model import Case, CaseResult, Program, Result, Target, judge
from benchmarks.rows import ROWS
from benchmarks.table import Document
from benchmarks.turns import run_case

BUSY = "import time\nwhile time.process_time() < 0.3: pass"
OUTLIVES = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}])"


def test_cpu_time_has_what_outlives_the_program():
    found = measure((sys.executable, "-c", OUTLIVES))

    assert found.cpu_seconds >= 0.3


def test_memory_is_that_of_the_tree():
    holds = "import time; held = bytearray(64 << 20); time.sleep(0.5)"
    both = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {holds!r}])"

    found = measure((sys.executable, "-c", both), memory=True)

    assert found.peak_bytes is not None
    assert 64 << 20 <= found.peak_bytes < 128 << 20


def test_a_program_that_fails_says_why():
    with pytest.raises(ProgramError, match="no such thing"):
        measure((sys.executable, "-c", "raise SystemExit('no such thing')"))


def test_a_rival_that_fails_is_an_error_in_its_row(tmp_path: Path):
    target = Target("speed", 1.0, lambda results: results["rival"].seconds / results["cvbatch"].seconds)
    write = f"import pathlib; pathlib.Path({str(tmp_path / 'out')!r}).mkdir(parents=True)"
    programs = (
        Program("cvbatch", (sys.executable, "-c", write), tmp_path / "out"),
        Program("rival", (sys.executable, "-c", "raise SystemExit(1)")),
    )

    found = run_case(Case("x", programs, (target,)), 2)

    assert found.results[0].turns == 2
    assert found.results[1].error is not None
    assert [verdict.value for verdict in found.verdicts] == [None]


def test_document_has_losses_and_errors():
    targets = (
        Target("speed", 2.0, lambda results: results["rival"].seconds / results["cvbatch"].seconds),
        Target("memory", 0.85, lambda _: 1.2, at_most=1.15),
    )
    results = (Result("cvbatch", seconds=2.0), Result("rival", seconds=3.0), Result("other", error="at /root/x/y: no"))
    case = CaseResult("a", 10**8, results, judge(targets, {each.name: each for each in results}))
    machine = dict.fromkeys(("date", "processor", "cores", "memory", "kernel", "python"), "some")

    text = Document(machine, {"rival": "1.0"}, 5, True, [(ROWS[0], [case])]).to_markdown()

    assert "0 of 2 are reached" in text
    assert "| a | speed | ≥ 2.00× | 1.50× | **missed** |" in text
    assert "| a | memory | 0.85 – 1.15× | 1.20× | **missed** |" in text
    assert "a, other failed: `at …/y: no`" in text
