"""``cvbatch work``."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import click

from cvbatch.cli.output import Output, output_options
from cvbatch.cli.queue import endpoint_option, region_option
from cvbatch.events import Event


def _bytes(context: click.Context, option: click.Parameter, value: str | None) -> float:
    """``2GiB``, ``500MB`` or a number of bytes; without bound if there is none."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return math.inf if value is None else float(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError:
        raise click.BadParameter(f"{value!r} is not a number of bytes, such as 2GiB", context, option) from None


@click.command()
@click.argument("url", metavar="QUEUE")
@click.option("--processes", type=click.IntRange(1), help="Worker processes; one for each processor if left out.")
@click.option(
    "--lease-seconds", default=300.0, show_default=True, help="Unheard of for so long, it loses its tasks to others."
)
@click.option("--grace", default=60.0, show_default=True, help="Seconds to finish what was begun when told to end.")
@click.option("--exit-when-empty", is_flag=True, help="End when no message waits.")
@click.option("--exit-when-done", is_flag=True, help="End when the job is done.")
@click.option("--max-tasks", type=click.IntRange(1), help="End after so many tasks.")
@click.option("--max-seconds", type=float, default=math.inf, help="Take no more tasks after so long.")
@click.option("--max-rss", callback=_bytes, help="Replace a process that has grown above this: 2GiB.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics at /metrics.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Who may ask for metrics.")
@click.option("--allow", multiple=True, metavar="PREFIX", help="Only jobs whose paths begin so. Repeatable.")
@endpoint_option
@region_option
@output_options
def work(url: str, as_json: bool, quiet: bool, verbose: bool, **settings: Any) -> None:
    """Work on the tasks of QUEUE, until told to end (SIGTERM, Ctrl-C).

    \b
    Examples:
      cvbatch work fq:///shared/queue --processes 4
      cvbatch work sqs://cvbatch --allow s3://my-bucket --exit-when-done

    It takes tasks of whatever jobs are in the queue; --allow says of which only. Told to end, it begins nothing more
    and hands back what it can't finish in time. Exit status 0 then, and also where tasks were given up:
    `cvbatch failures CONFIG` shows these.
    """
    from cvbatch.cli.progress import progress
    from cvbatch.cli.run import signals
    from cvbatch.inspect import Metrics, serve_metrics
    from cvbatch.process.host import processors
    from cvbatch.queues import open_queue
    from cvbatch.runtime.stop import StopFlag
    from cvbatch.runtime.work import WorkOptions
    from cvbatch.runtime.work import work as work_on

    queue = open_queue(url, settings.pop("endpoint"), settings.pop("region_name"))
    output, stop = Output(as_json, quiet, verbose), StopFlag()
    port, host = settings.pop("metrics_port"), settings.pop("metrics_host")
    with ExitStack() as around:
        around.enter_context(signals(stop))
        show, metrics = around.enter_context(progress(output)), Metrics()
        if port is not None:
            port = around.enter_context(serve_metrics(metrics, port, host))
            click.echo(f"metrics at http://{host}:{port}/metrics", err=True)

        def tell(event: Event) -> None:
            metrics.note(event)
            show(event)

        settings["processes"] = settings["processes"] or processors()
        settings["grace_seconds"] = settings.pop("grace")
        summary = work_on(queue, WorkOptions(**settings, tell=tell, stop=stop))
    text = f"{summary.tasks} tasks done, {summary.failed} given up, of {len(summary.jobs)} jobs"
    output.result(asdict(summary), lambda: click.echo(text))
