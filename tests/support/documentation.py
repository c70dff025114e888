"""Types what a page of docs/ says, in the order in which it says it, and holds the answers against the page.

In a page, a block of

- ``sh`` is typed. A remark ``# exit status 1`` on its last line is what it ends with, else 0; at ``# Ctrl-C`` it is
  interrupted when its first task is done.
- ``text`` is what the commands above it have answered: each line must be there, in this order; between them may be
  others. What differs from run to run, as times and rates do, is not compared.
- ``yaml`` that begins with ``# NAME.yaml`` is written to that file, and ``python`` with ``# NAME.py`` likewise; other
  blocks of these are only shown.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HOME = Path(__file__).parents[2]
# Where the pages say that they were typed.
WRITTEN_AT = "/home/you/em"
SECONDS = 100


@dataclass(frozen=True)
class Block:
    """A block of a page, and the line on which its text begins."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The blocks of a page, by its path in the repository."""
    text = (HOME / page).read_text()
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 2) for match in found]


@dataclass
class Typist:
    """Follows pages in a folder.

    ``typed`` is what is typed or written in place of something, ``shown`` what stands in the page in place of what was
    answered: where a server on this machine stands for another one, its address is in the one and not in the other.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    typed: Callable[[str], str] = str
    shown: Callable[[str], str] = str
    said: str = ""

    def follow(self, page: str) -> None:
        """Do all that a page says."""
        for block in blocks(page):
            where = f"{page}:{block.line}"
            if block.language == "sh":
                self.type(block.text, where)
            elif block.language == "text":
                compare(block.text, self.shown(self.said.replace(str(self.folder), WRITTEN_AT)), where)
            elif name := re.match(r"# (\S+\.(yaml|py))\n", block.text):
                (self.folder / name[1]).write_text(self.typed(block.text))

    def type(self, text: str, where: str) -> None:
        """Type commands, and see how they end."""
        expected = re.search(r"# exit status (\d+)", text)
        interrupt = "# Ctrl-C" in text
        own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder)}
        shell = subprocess.Popen(
            ["bash", "-ec", self.typed(text)],
            cwd=self.folder,
            env={**os.environ, **own, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if interrupt:
            self._interrupt(shell)
        self.said, _ = shell.communicate(timeout=SECONDS)
        status = 130 if interrupt else int(expected[1]) if expected else 0
        assert shell.returncode == status, f"{where}: exit status {shell.returncode}\n{self.said}"

    def _interrupt(self, shell: subprocess.Popen[str]) -> None:
        """As a terminal does it: all that was started gets the signal."""
        before, deadline = self._receipts(), time.monotonic() + SECONDS
        while self._receipts() == before:
            assert time.monotonic() < deadline
            assert shell.poll() is None, "it ended before it could be interrupted"
            time.sleep(0.01)
        os.killpg(shell.pid, signal.SIGINT)

    def _receipts(self) -> int:
        return sum(1 for _ in self.folder.rglob(".cvbatch/*/receipts/*.json"))


# What differs from run to run or from machine to machine.
UNSTABLE = (
    (r"\b[0-9a-f]{16}\b", "JOB"),
    (r"\d[\d.,]* [kMGT]?B(/s)?\b", "BYTES"),
    (r"\d[\d.,]* (ms|s|min|h)\b( \d+ (s|min))?", "TIME"),
    (r"\d[\d.,]* (%|tasks/s|Mvoxel/s)", "SHARE"),
    (r"\b(fetch|decode|paint|downsample|encode|store|compare) SHARE,? ?", ""),
    (r"\b\d+ processes", "N processes"),
    (r"begun \(\d+\)|after \d+ tasks|\d+ of \d+ tasks to do|\d+ of them before", "SOME"),
    (r":\d{4,5}/", ":PORT/"),
    (r"\s+", " "),
)


def stable(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, same in UNSTABLE:
        line = re.sub(pattern, same, line)
    return line.strip()


def compare(page: str, said: str, where: str) -> None:
    """Every line of a page must have been said, in this order."""
    lines = iter([stable(line) for line in said.splitlines()])
    for line in page.splitlines():
        if line.strip() in ("", "…"):
            continue
        assert stable(line) in lines, f"{where}: {line!r} was not said, but\n{said}"
