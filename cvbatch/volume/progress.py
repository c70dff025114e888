"""A progress bar for those who asked for one with ``progress=True``."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cvbatch.volume.handout import Tick, no_tick

SECONDS_BETWEEN = 0.2


@contextmanager
def progress_bar(wanted: bool | str, doing: str, parts: int) -> Iterator[Tick]:
    """Progress on standard error while the block runs; ``wanted`` may be the text before it."""
    if not wanted:
        yield no_tick
        return
    text = wanted if isinstance(wanted, str) else doing
    # A notebook shows a line that is written again and again; what draws bars there needs an extension of it.
    bar = _bar(text, parts) if sys.stderr.isatty() else _line(text, parts)
    with bar as tick:
        yield tick


@contextmanager
def _bar(text: str, parts: int) -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(text, total=parts)
        yield lambda done: bar.advance(task, done)


@contextmanager
def _line(text: str, parts: int) -> Iterator[Tick]:
    lock = threading.Lock()
    begin = shown = time.monotonic()
    finished = 0

    def show(end: str) -> None:
        seconds = time.monotonic() - begin
        sys.stderr.write(f"\r{text}: {finished} of {parts}, {seconds:.1f} s{end}")
        sys.stderr.flush()

    def tick(done: int) -> None:
        nonlocal finished, shown
        with lock:
            finished += done
            if time.monotonic() - shown > SECONDS_BETWEEN:
                shown = time.monotonic()
                show("")

    try:
        yield tick
    finally:
        show("\n")


def is_interactive() -> bool:
    """Whether somebody types at this Python, as in a notebook; then long calls show their progress."""
    return hasattr(sys, "ps1")
