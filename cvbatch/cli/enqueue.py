"""``cvbatch enqueue`` and ``cvbatch failures``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, config_arguments, confirm_deletion, output_options, plural, yes_option

if TYPE_CHECKING:
    from cvbatch.metadata import Failure


@click.command()
@config_arguments
@yes_option
@output_options
def enqueue(config: str, overrides: tuple[str, ...], yes: bool, **said: bool) -> None:
    """Put the tasks of CONFIG into its queue, and don't wait.

    What was sent before is not sent again. A job of several passes goes on to the next, and to its end, only while
    somebody runs `cvbatch run CONFIG`.

    \b
    Example:
      cvbatch enqueue configs/cluster.yaml
    """
    from cvbatch.api.jobs import enqueue as enqueue_job
    from cvbatch.api.jobs import plan
    from cvbatch.config import load_config

    loaded = load_config(config, overrides)
    confirm_deletion(loaded, yes, plan)
    sent = enqueue_job(loaded)
    Output(**said).result({"messages": sent}, lambda: click.echo(f"{sent} messages sent"))


@click.command()
@config_arguments
@click.option("--retry", is_flag=True, help="Have them tried again. `cvbatch run CONFIG` finishes the job.")
@output_options
def failures(config: str, overrides: tuple[str, ...], retry: bool, **said: bool) -> None:
    """Show the tasks of CONFIG that were given up, and why.

    --retry has them tried again: by the workers of a shared queue at once, else by the next run.

    \b
    Examples:
      cvbatch failures configs/cluster.yaml
      cvbatch failures configs/cluster.yaml --retry
    """
    from cvbatch.api.jobs import failures as failures_of

    found = failures_of(config, overrides, retry)
    document = {"failures": [failure.to_json() for failure in found], "retry": retry}
    Output(**said).result(document, lambda: _print(found, said["verbose"]))


def _print(found: list[Failure], verbose: bool) -> None:
    if not found:
        click.echo("no task was given up")
    for failure in found:
        click.echo(
            f"task {failure.task}, voxels {failure.box}, {plural(len(failure.errors), 'attempt')}: {failure.errors[-1]}"
        )
        if verbose and failure.traceback:
            click.echo(failure.traceback)
