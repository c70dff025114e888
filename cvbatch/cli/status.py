"""``cvbatch status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, config_arguments, output_options

if TYPE_CHECKING:
    from cvbatch.inspect import JobStatus


@click.command()
@config_arguments
@output_options
def status(config: str, overrides: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool) -> None:
    """Show how far the job of CONFIG is.

    \b
    Example:
      cvbatch status configs/transfer.yaml
    """
    from cvbatch.config import load_config, resolve
    from cvbatch.inspect import job_status
    from cvbatch.runtime import open_state, planned

    resolved = resolve(load_config(config, overrides))
    state = open_state(resolved.job, resolved.state)
    found = job_status(planned(resolved.job, state, resolved.crew), state)
    Output(as_json, quiet, verbose).result(found.to_json(), lambda: _print(found))


def _print(found: JobStatus) -> None:
    if not found.started:
        click.echo(f"Job {found.job} was not started yet; it has {found.total} tasks.")
        return
    share = 100 * found.done / found.total
    click.echo(
        f"Job {found.job}: {found.done} of {found.total} tasks done ({share:.0f} %), {found.remaining} remaining"
    )
    click.echo(f"  state    {found.state}")
    click.echo(f"  running  {', '.join(found.workers) or 'nobody'}")
    for failure in found.failures:
        click.echo(f"  failed   task {failure.task}, voxels {failure.box}: {failure.errors[-1]}")
