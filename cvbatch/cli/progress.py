"""How a run is going: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, human_bytes, human_seconds, plural
from cvbatch.events import (
    Event,
    JobAdvanced,
    LeaseLost,
    MessageRefused,
    PassStarted,
    RunStarted,
    StopRequested,
    Subscriber,
    TaskDone,
    TaskFailed,
    WorkerDied,
    ignore,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_SECONDS = 10.0


@contextmanager
def progress(output: Output) -> Iterator[Subscriber]:
    """A subscriber that shows progress on standard error."""
    if output.quiet:
        yield ignore
    elif sys.stderr.isatty():
        with _bar() as bar:
            yield _OnTerminal(bar)
    else:
        yield _Lines()


@dataclass
class _Totals:
    """What has been done since the run began."""

    begin: float = field(default_factory=time.monotonic)
    tasks: int = 0
    done: int = 0
    voxels_left: int = 0
    voxels: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def note(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.begin = time.monotonic()
            self.tasks, self.done, self.voxels_left = event.tasks, event.done, event.voxels
        elif isinstance(event, TaskDone):
            self.done += 1
            self.voxels += event.voxels
            self.bytes_read += event.counts.bytes_read
            self.bytes_written += event.counts.bytes_written
        elif isinstance(event, JobAdvanced):
            self.done = event.done

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.begin, 1e-3)
        rates = (
            f"{self.voxels / seconds / 1e6:.1f} Mvoxel/s, in {human_bytes(self.bytes_read / seconds)}/s, "
            f"out {human_bytes(self.bytes_written / seconds)}/s"
        )
        if not self.voxels:
            return f"{self.done}/{self.tasks} tasks"
        left = max(self.voxels_left - self.voxels, 0) * seconds / self.voxels
        return f"{self.done}/{self.tasks} tasks, {rates}, {human_seconds(left)} left"


def _words(event: Event) -> str | None:
    """What is told about an event wherever progress goes."""
    if isinstance(event, TaskFailed):
        fate = "given up" if event.buried else f"attempt {event.attempt}, will be tried again"
        return f"task {event.task} ({fate}): {event.error}"
    if isinstance(event, WorkerDied):
        return f"{event.cause}; another one takes its place"
    if isinstance(event, MessageRefused):
        return f"a message was not taken: {event.reason}"
    if isinstance(event, LeaseLost):
        return f"batch {event.batch} was held for too long, and is left to others"
    if isinstance(event, StopRequested):
        return f"finishing the tasks that have begun ({event.running}); Ctrl-C again ends at once"
    return None


class _Lines:
    """One line every ten seconds."""

    def __init__(self) -> None:
        self._totals = _Totals()
        self._next = time.monotonic() + LINE_EVERY_SECONDS

    def __call__(self, event: Event) -> None:
        self._totals.note(event)
        if isinstance(event, RunStarted):
            click.echo(
                f"job {event.job_id}: {event.tasks - event.done} of {plural(event.tasks, 'task')} to do "
                f"with {plural(event.processes, 'process')}",
                err=True,
            )
        words = _words(event)
        if words is not None:
            click.echo(words, err=True)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_SECONDS
            click.echo(str(self._totals), err=True)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[numbers]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


class _OnTerminal:
    """A bar over all tasks of the job."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._totals = _Totals()
        self._task: TaskID = bar.add_task("starting", total=None, numbers="")

    def __call__(self, event: Event) -> None:
        self._totals.note(event)
        words = _words(event)
        if words is not None:
            self._bar.console.print(words, highlight=False, markup=False)
        if isinstance(event, PassStarted):
            self._bar.update(self._task, description=f"pass {event.number + 1} of {event.passes}")
        totals = self._totals
        self._bar.update(self._task, total=totals.tasks or None, completed=totals.done, numbers=str(totals))
