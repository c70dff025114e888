"""A progress bar for those who asked for one with ``progress=True``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cvbatch.volume.handout import Tick, no_tick


@contextmanager
def progress_bar(wanted: bool | str, doing: str, parts: int) -> Iterator[Tick]:
    """A bar on standard error while the block runs; ``wanted`` may be the text before it."""
    if not wanted:
        yield no_tick
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(wanted if isinstance(wanted, str) else doing, total=parts)
        yield lambda done: bar.advance(task, done)


def is_interactive() -> bool:
    """Whether somebody types at this Python, as in a notebook; then long calls show their progress."""
    import sys

    return hasattr(sys, "ps1")
