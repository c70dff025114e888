"""``cvbatch queue``."""

from __future__ import annotations

from typing import Any

import click

from cvbatch.cli.output import Output, output_options

endpoint_option = click.option("--endpoint", default="", help="The server of a queue that is not Amazon's.")
region_option = click.option("--region-name", default="", help="The region of an SQS queue.")


@click.group()
def queue() -> None:
    """Make and look at queues that several machines share.

    QUEUE is a folder that all of them see, fq://FOLDER, or one of Amazon SQS, sqs://NAME.
    """


@queue.command()
@click.argument("url", metavar="QUEUE")
@click.option(
    "--lease-seconds",
    default=300.0,
    show_default=True,
    help="How long a message stays with a worker that is not heard of.",
)
@endpoint_option
@region_option
@output_options
def create(url: str, lease_seconds: float, as_json: bool, quiet: bool, verbose: bool, **place: Any) -> None:
    """Make QUEUE, if it isn't there.

    \b
    Examples:
      cvbatch queue create fq:///shared/queue
      cvbatch queue create sqs://cvbatch --region-name eu-central-1
    """
    from cvbatch.queues import open_queue

    made = open_queue(url, **place)
    made.create(lease_seconds)
    Output(as_json, quiet, verbose).result({"queue": made.url}, lambda: click.echo(f"{made.url} is there"))


@queue.command()
@click.argument("url", metavar="QUEUE")
@endpoint_option
@region_option
@output_options
def status(url: str, as_json: bool, quiet: bool, verbose: bool, **place: Any) -> None:
    """Show how many messages QUEUE holds.

    What a job has done is shown by `cvbatch status CONFIG`.

    \b
    Example:
      cvbatch queue status fq:///shared/queue
    """
    from cvbatch.queues import open_queue

    found = open_queue(url, **place)
    counts = found.counts()
    document = {"queue": found.url, "waiting": counts.waiting, "leased": counts.leased}
    text = f"{found.url}: {counts.waiting} messages waiting, {counts.leased} at work"
    Output(as_json, quiet, verbose).result(document, lambda: click.echo(text))


@queue.command()
@click.argument("url", metavar="QUEUE")
@endpoint_option
@region_option
@output_options
def release(url: str, as_json: bool, quiet: bool, verbose: bool, **place: Any) -> None:
    """Hand out the messages of QUEUE again that workers hold.

    Only if these workers are gone for sure, and only of fq:// queues; with sqs:// wait until their leases end.

    \b
    Example:
      cvbatch queue release fq:///shared/queue
    """
    from cvbatch.queues import open_queue

    found = open_queue(url, **place)
    found.release_all()
    Output(as_json, quiet, verbose).result({"queue": found.url}, lambda: click.echo("released"))


@queue.command()
@click.argument("url", metavar="QUEUE")
@click.option("--yes", is_flag=True, help="Do remove them.")
@endpoint_option
@region_option
@output_options
def purge(url: str, yes: bool, as_json: bool, quiet: bool, verbose: bool, **place: Any) -> None:
    """Remove all messages of QUEUE, those of all jobs.

    What is done stays done; `cvbatch run CONFIG` sends again what is not.

    \b
    Example:
      cvbatch queue purge fq:///shared/queue --yes
    """
    from cvbatch.queues import open_queue

    if not yes:
        raise click.UsageError("this removes the messages of all jobs in the queue: say --yes if you mean it")
    found = open_queue(url, **place)
    found.purge()
    Output(as_json, quiet, verbose).result({"queue": found.url}, lambda: click.echo("purged"))
