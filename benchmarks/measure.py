"""One process and all that it starts: how long, how much CPU, how much memory.

``measure`` runs the program below a wrapper, which is this module as a program. The wrapper adopts what outlives its
parent (``PR_SET_CHILD_SUBREAPER``) and waits for it, so that the CPU time of all descendants is known to it. Memory is
the sum of the proportional set sizes, in which a page that several share counts once; to ask for it takes time, so
that it is done in a run of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.02
OUTLIVE_SECONDS = 10.0
TIMEOUT_SECONDS = 900.0
_PR_SET_CHILD_SUBREAPER = 36


class ProgramError(Exception):
    """A program ended with an error; the message has the end of what it said."""


@dataclass(frozen=True)
class Measurement:
    """Of one run. ``wall_seconds`` ends with the program itself; ``cpu_seconds`` are of it and all descendants."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    status: int
    stdout: str

    def reported(self) -> dict[str, Any]:
        """The last line of what it printed."""
        found: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return found


def measure(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, memory: bool = False
) -> Measurement:
    """Run a program; its peak memory only if ``memory``.

    Raises
    ------
    ProgramError
        It didn't end with 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        result, output, errors = Path(folder, "result"), Path(folder, "out"), Path(folder, "err")
        wrapper = [sys.executable, __file__, str(result), *(["--memory"] if memory else []), "--", *arguments]
        with output.open("wb") as out, errors.open("wb") as err:
            subprocess.run(
                wrapper,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**_as_installed(), **(environment or {})},
                check=False,
            )
        said = errors.read_text(errors="replace")
        if not result.exists():
            raise ProgramError(f"{arguments[0]}: the wrapper failed: {said[-500:]}")
        found = Measurement(**json.loads(result.read_text()), stdout=output.read_text(errors="replace"))
    if found.status != 0:
        text = (said.strip() or found.stdout.strip())[-700:]
        raise ProgramError(f"status {found.status}: {text}")
    return found


def _as_installed() -> dict[str, str]:
    """This environment, but Python may keep modules compiled, as those are that pip has installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _children(pid: int) -> Iterator[int]:
    """All descendants of a process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found.update(map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()))
    for child in found:
        yield child
        yield from _children(child)


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class _Sampler(threading.Thread):
    """Looks at the memory of the tree again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss_bytes, _children(os.getpid()))))


def _reap(deadline: float) -> None:
    """Wait for what outlived the program; end it when it stays too long."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > deadline:
                for child in list(_children(os.getpid())):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            time.sleep(0.005)


def _wrap(arguments: Sequence[str], memory: bool) -> dict[str, Any]:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sampler = _Sampler()
    if memory:
        sampler.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    process = subprocess.Popen(arguments)
    timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
    timer.start()
    status = process.wait()
    wall = time.perf_counter() - begin
    timer.cancel()
    _reap(time.monotonic() + OUTLIVE_SECONDS)
    sampler.ended.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = Measurement(wall, cpu, sampler.peak_bytes if memory else None, status, "")
    return {name: value for name, value in asdict(found).items() if name != "stdout"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("arguments", nargs="+")
    said = parser.parse_args()
    said.result.write_text(json.dumps(_wrap(said.arguments, said.memory)))


if __name__ == "__main__":
    main()
