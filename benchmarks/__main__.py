"""cvbatch and other programs, side by side: ``python -m benchmarks``; docs/benchmarks.md is what comes out.

``python -m benchmarks rivals VENV`` makes the environment of the other programs, and does nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environment import Rivals, describe_machine
from benchmarks.inputs import Inputs
from benchmarks.model import CaseResult, Result
from benchmarks.rows import PROJECTIONS, ROWS, Bench, Row, projections
from benchmarks.table import Document, save
from benchmarks.turns import FAILURES, run_case, say


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("command", nargs="*", metavar="rivals VENV", help="only make the environment of the rivals")
    parser.add_argument("--rows", help=f"of {','.join(row.key for row in ROWS)}; all if left out")
    parser.add_argument("--turns", type=int, default=5, help="for the medians (5)")
    parser.add_argument("--work", type=Path, default=Path("/dev/shm/cvbench"), help="for inputs and outputs; 12 GB")
    parser.add_argument("--output", type=Path, help="the document, Markdown")
    parser.add_argument("--json", type=Path, help="all numbers")
    parser.add_argument(
        "--rivals", type=Path, default=Path(tempfile.gettempdir(), "cvbatch-rivals"), help="their environment"
    )
    said = parser.parse_args()
    if said.command and (len(said.command) != 2 or said.command[0] != "rivals"):
        parser.error(f"what is {' '.join(said.command)!r}? There is only: rivals VENV")
    known = {row.key for row in ROWS}
    # Row k is a part of the others; its comparison with Igneous is in row a.
    said.rows = list(known) if said.rows is None else ["a" if key == "k" else key for key in said.rows.split(",")]
    if set(said.rows) - known:
        parser.error(f"no such rows: {sorted(set(said.rows) - known)}")
    return said


def _cases(bench: Bench, row: Row, turns: int) -> list[CaseResult]:
    """Of a row; what fails to be set up is an error in the table, too."""
    begin = time.monotonic()
    say(f"{row.key}: {row.title}")
    try:
        cases = row.cases(bench)
    except FAILURES as error:
        failed = Result("inputs", error=f"{type(error).__name__}: {error}")
        say(f"  {failed.error}")
        return [CaseResult(row.key, None, (failed,), ())]
    found = [run_case(case, turns) for case in cases]
    say(f"  {time.monotonic() - begin:.0f} s")
    return found


def _run(said: argparse.Namespace, rivals: Rivals) -> Document:
    bench = Bench(said.work, Inputs(said.work / "inputs", rivals), rivals)
    shutil.rmtree(said.work / "out", ignore_errors=True)
    rows: list[tuple[Row, Sequence[CaseResult]]] = []
    for row in ROWS:
        if row.key in said.rows:
            rows.append((row, _cases(bench, row, said.turns)))
            document = _document(rows, said.turns, bench)
            save(document, said.output, said.json)
    return document


def _document(rows: list[tuple[Row, Sequence[CaseResult]]], turns: int, bench: Bench) -> Document:
    memory = projections([case for _, cases in rows for case in cases])
    with_memory = [*rows, (PROJECTIONS, [memory])] if memory.verdicts else rows
    ordered = sorted(with_memory, key=lambda each: each[0].key)
    return Document(describe_machine(), bench.rivals.versions(), turns, bench.inputs.are_real, ordered)


def main() -> None:
    said = _arguments()
    rivals = Rivals(Path(said.command[1] if said.command else said.rivals).absolute())
    rivals.make()
    if said.command:
        return
    document = _run(said, rivals)
    if said.output is None:
        sys.stdout.write(document.to_markdown())


if __name__ == "__main__":
    main()
