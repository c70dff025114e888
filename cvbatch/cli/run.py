"""``cvbatch run`` and ``cvbatch resume``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Literal

import click

from cvbatch.cli.enqueue import enqueue
from cvbatch.cli.output import (
    Output,
    config_arguments,
    confirm_deletion,
    human_bytes,
    human_seconds,
    output_options,
    plural,
    yes_option,
)

if TYPE_CHECKING:
    from cvbatch.config import LoadedConfig
    from cvbatch.runtime.report import Report
    from cvbatch.runtime.stop import StopFlag

MOST_EARLY = 4


force_option = click.option(
    "--force", is_flag=True, help="Write although another job says that it is writing to the region."
)


@click.command()
@config_arguments
@click.option("--detach", is_flag=True, help="Only send the tasks to the shared queue: `cvbatch enqueue`.")
@force_option
@yes_option
@output_options
@click.pass_context
def run(context: click.Context, /, config: str, overrides: tuple[str, ...], detach: bool, **said: bool) -> None:
    """Run the job of CONFIG, or what is left of it.

    \b
    Example:
      cvbatch run configs/transfer.yaml --set workers.processes=2

    Ctrl-C once finishes the tasks that have begun, twice ends at once. Running the same again goes on where
    it stopped, and does nothing when all is done. With a shared queue (fq://, sqs://) the tasks are done by
    whoever runs `cvbatch work`; this sends them, watches, and finishes the job.

    Exit status 1 if tasks failed (the others are done), 130 if interrupted.
    """
    if detach:
        said.pop("force")
        context.invoke(enqueue, config=config, overrides=overrides, **said)
    else:
        _run("run", config, overrides, said)


@click.command()
@config_arguments
@force_option
@yes_option
@output_options
def resume(config: str, overrides: tuple[str, ...], **said: bool) -> None:
    """Go on with the job of CONFIG, which must have been started.

    \b
    Example:
      cvbatch resume configs/transfer.yaml

    As `cvbatch run CONFIG`, but with exit status 2 where there is nothing to go on with: the configuration is not the
    one of the job that was interrupted, then.
    """
    _run("resume", config, overrides, said)


def _run(job: Literal["run", "resume"], config: str, overrides: tuple[str, ...], said: dict[str, bool]) -> None:
    from cvbatch.process.nursery import Nursery
    from cvbatch.runtime.stop import StopFlag

    yes, force = said.pop("yes"), said.pop("force")
    output, stop = Output(**said), StopFlag()
    with signals(stop), closing(Nursery()) as nursery:
        # Modules take as long to load as a worker needs to begin: it begins first.
        nursery.begin(1)
        from cvbatch.config import load_config

        loaded = load_config(config, overrides)
        nursery.begin(_early_workers(loaded))
        from cvbatch.api import jobs
        from cvbatch.cli.progress import progress
        from cvbatch.errors import InterruptedRun

        confirm_deletion(loaded, yes, jobs.plan)
        if stop.soon:
            raise InterruptedRun("interrupted before anything was begun")
        do = {"run": jobs.run, "resume": jobs.resume}[job]
        with progress(output) as tell:
            report = do(loaded, tell, stop, force, nursery)
    output.result(report.to_json(), lambda: print_summary(report))
    if not report.complete:
        if output.quiet:
            _print_failures(report, to_standard_error=True)
        sys.exit(1)


def _early_workers(loaded: LoadedConfig) -> int:
    """How many processes will be needed in all likelihood: a few, as the job may be small, and none for a queue."""
    from cvbatch.process.host import processors

    if loaded.config.queue.url != "local":
        return 0
    return min(loaded.config.workers.processes or processors(), MOST_EARLY)


@contextmanager
def signals(stop: StopFlag) -> Iterator[None]:
    """Ctrl-C and the polite kill ask the run to stop."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.request())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_summary(report: Report) -> None:
    """What a run did, in a few lines."""
    tasks, counts = report.tasks, report.counts
    if tasks.done_before == tasks.total:
        click.echo(f"Job {report.job} is done already: {plural(tasks.total, 'task')}. Nothing was read or written.")
        return
    seconds = max(report.seconds, 1e-9)
    before = f", {tasks.done_before} of them before" if tasks.done_before else ""
    of_all = f"{tasks.done} of {plural(tasks.total, 'task')}"
    click.echo(f"Job {report.job}: {of_all} done{before}, in {human_seconds(report.seconds)}")
    click.echo(
        f"  chunks   {counts.chunks_read} read, {counts.chunks_filled} filled, {counts.chunks_copied} copied, "
        f"{counts.chunks_written} written, {counts.chunks_deleted} deleted"
    )
    click.echo(
        f"  bytes    {human_bytes(counts.bytes_read)} read ({human_bytes(counts.bytes_read / seconds)}/s), "
        f"{human_bytes(counts.bytes_written)} written ({human_bytes(counts.bytes_written / seconds)}/s)"
    )
    total = sum(counts.stages.values()) or 1.0
    shares = ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in counts.stages.items() if spent)
    click.echo(f"  time     {shares or 'none'}")
    click.echo(f"  memory   {human_bytes(report.peak_memory_bytes)} at most, all processes together")
    if report.retries:
        click.echo(f"  retries  {report.retries}")
    _print_failures(report, to_standard_error=False)


def _print_failures(report: Report, to_standard_error: bool) -> None:
    def say(text: str) -> None:
        click.echo(text, err=to_standard_error)

    if report.tasks.skipped:
        say(f"  skipped  {plural(report.tasks.skipped, 'task')} that would have read what failed tasks make")
    for failure in report.failures[:20]:
        say(f"  failed   task {failure.task}, voxels {failure.box}: {failure.error}")
    if len(report.failures) > 20:
        say(f"  failed   … and {len(report.failures) - 20} more: see `cvbatch status`")
    if not report.complete:
        say("Mend the cause and run the same again: only what is not done is tried.")
