"""``cvbatch status``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, config_arguments, human_seconds, output_options, table

if TYPE_CHECKING:
    from cvbatch.inspect import JobStatus

REFRESH_SECONDS = 5.0
CLEAR = "\x1b[2J\x1b[H"


@click.command()
@config_arguments
@click.option("--watch", is_flag=True, help="Show it again every five seconds, until the job is done.")
@output_options
def status(config: str, overrides: tuple[str, ...], watch: bool, **said: bool) -> None:
    """Show how far the job of CONFIG is, and who works on it.

    \b
    Example:
      cvbatch status configs/transfer.yaml --watch
    """
    from cvbatch.config import load_config, resolve
    from cvbatch.inspect import job_status
    from cvbatch.runtime import open_state, planned

    resolved = resolve(load_config(config, overrides))
    state = open_state(resolved.job, resolved.state)
    plan, output = planned(resolved.job, state, resolved.crew), Output(**said)
    found = job_status(plan, state)
    while watch and found.remaining > 0:
        if sys.stdout.isatty():
            click.echo(CLEAR, nl=False)
        _print(found)
        time.sleep(REFRESH_SECONDS)
        found = job_status(plan, state)
    output.result(found.to_json(), lambda: _print(found))


def _print(found: JobStatus) -> None:
    if not found.started:
        click.echo(f"Job {found.job} was not started yet; it has {found.total} tasks.")
        return
    share = 100 * found.done / found.total
    click.echo(
        f"Job {found.job}: {found.done} of {found.total} tasks done ({share:.0f} %), {found.running} running, "
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
