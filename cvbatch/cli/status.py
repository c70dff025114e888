"""``cvbatch status``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import click

from cvbatch.cli.output import Output, config_arguments, human_seconds, output_options, plural, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cvbatch.inspect import JobStatus

REFRESH_SECONDS = 5.0
MOST_SHOWN = 20


@click.command()
@config_arguments
@click.option("--watch", is_flag=True, help="Show it every five seconds, until the job is done.")
@output_options
def status(config: str, overrides: tuple[str, ...], watch: bool, **said: bool) -> None:
    """Show how far the job of CONFIG is, and who works on it.

    \b
    Examples:
      cvbatch status configs/transfer.yaml
      cvbatch status configs/transfer.yaml --watch

    With --watch a terminal shows a table that stays in its place, until Ctrl-C or
    until nothing is left to do. Where a job has failed tasks, `cvbatch failures
    CONFIG` says why.
    """
    from cvbatch.config import load_config
    from cvbatch.config.resolve import resolve
    from cvbatch.inspect import job_status
    from cvbatch.runtime.passes import planned
    from cvbatch.runtime.state import open_state

    resolved = resolve(load_config(config, overrides))
    state = open_state(resolved.job, resolved.state)
    plan, output = planned(resolved.job, state, resolved.crew), Output(**said)
    found = job_status(plan, state)
    if watch:
        with _screen(output) as show:
            while found.remaining > 0:
                show(found)
                time.sleep(REFRESH_SECONDS)
                found = job_status(plan, state)
    output.result(found.to_json(), lambda: _print(found))


class _Show(Protocol):
    def __call__(self, found: JobStatus, /) -> None: ...


@contextmanager
def _screen(output: Output) -> Iterator[_Show]:
    """Shows a status again and again: in place of the last one where that can be, else below it."""
    if output.as_json or output.quiet:
        yield lambda found: None
        return
    if not sys.stdout.isatty():
        yield _print
        return
    from rich.live import Live

    speed = _Speed()
    with Live(auto_refresh=False, transient=True) as live:
        yield lambda found: live.update(_live(found, speed.at(found)), refresh=True)


@dataclass
class _Speed:
    """Tasks a second by the receipts since watching began: workers say themselves only each minute how far they are."""

    begin: float = field(default_factory=time.monotonic)
    before: int | None = None

    def at(self, found: JobStatus) -> float:
        self.before = found.done if self.before is None else self.before
        seen = found.done - self.before
        return seen / (time.monotonic() - self.begin) if seen else found.tasks_per_second


def _live(found: JobStatus, speed: float) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 2))
    share = f"{100 * found.done / max(1, found.total):.1f} %"
    bar.add_row(f"Job {found.job}", ProgressBar(found.total, found.done, width=40), f"{share}, {_left(found, speed)}")
    workers = Table("worker", "processes", "done", "running", "tasks/s", "last heard of", box=None, pad_edge=False)
    for column in workers.columns[1:5]:
        column.justify = "right"
    for each in found.workers[:MOST_SHOWN]:
        numbers = (each.processes, each.done, each.running, f"{each.tasks_per_second:.2f}", _ago(each.seen))
        workers.add_row(each.name, *map(str, numbers))
    more = len(found.workers) - MOST_SHOWN
    failed = [Text(f"failed: task {each.task}, {each.errors[-1]}", "red") for each in found.failures[:MOST_SHOWN]]
    tail = [Text(f"… and {more} more workers")] if more > 0 else []
    nobody = [] if found.workers else [Text("nobody works on it")]
    return Group(bar, Text(_counts(found, speed)), Text(), *([workers] if found.workers else nobody), *tail, *failed)


def _counts(found: JobStatus, speed: float) -> str:
    return (
        f"{found.done:,} of {plural(found.total, 'task')} done, {found.running} running, {len(found.failures)} failed, "
        f"{found.remaining:,} remaining" + (f", {speed:.2f} tasks/s" if speed else "")
    )


def _left(found: JobStatus, speed: float) -> str:
    return f"{human_seconds(found.remaining / speed)} left" if speed else "time left unknown"


def _ago(seen: str) -> str:
    from datetime import UTC, datetime

    return f"{human_seconds(max(0.0, (datetime.now(UTC) - datetime.fromisoformat(seen)).total_seconds()))} ago"


def _print(found: JobStatus) -> None:
    if not found.started:
        click.echo(f"Job {found.job} was not started yet; it has {plural(found.total, 'task')}.")
        return
    share = 100 * found.done / found.total
    of_all = f"{found.done} of {plural(found.total, 'task')}"
    click.echo(
        f"Job {found.job}: {of_all} done ({share:.0f} %), {found.running} running, "
        f"{len(found.failures)} failed, {found.remaining} remaining"
    )
    click.echo(f"  state    {found.state}")
    if found.seconds_left is not None and found.remaining:
        click.echo(f"  speed    {found.tasks_per_second:.2f} tasks/s, {human_seconds(found.seconds_left)} left")
    if not found.workers:
        click.echo("  workers  nobody")
    else:
        rows: list[tuple[str, ...]] = [("  worker", "processes", "done", "running", "tasks/s", "last heard of")]
        for each in found.workers:
            numbers = (each.processes, each.done, each.running, f"{each.tasks_per_second:.2f}", each.seen)
            rows.append((f"  {each.name}", *map(str, numbers)))
        click.echo(table(rows))
    for failure in found.failures:
        click.echo(f"  failed   task {failure.task}, voxels {failure.box}: {failure.errors[-1]}")
