"""``cvbatch shm``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, human_bytes, output_options, table

if TYPE_CHECKING:
    from cvbatch.memory import SegmentInfo


@click.group()
def shm() -> None:
    """Shared memory that workers hold, or have left behind."""


@shm.command("list")
@output_options
def list_command(as_json: bool, quiet: bool, verbose: bool) -> None:
    """List the segments of cvbatch workers.

    \b
    Example:
      cvbatch shm list
    """
    from cvbatch.memory import list_segments

    segments = list_segments()
    document = {"segments": [asdict(segment) for segment in segments]}
    Output(as_json, quiet, verbose).result(document, lambda: _print(segments))


@shm.command("sweep")
@output_options
def sweep_command(as_json: bool, quiet: bool, verbose: bool) -> None:
    """Free the segments whose worker is gone. Those of living workers are left alone.

    \b
    Example:
      cvbatch shm sweep
    """
    from cvbatch.memory import sweep_segments

    freed = sweep_segments()
    document = {"freed": [asdict(segment) for segment in freed]}
    total = human_bytes(sum(segment.nbytes for segment in freed))
    text = f"Freed {len(freed)} segments, {total}." if freed else "Nothing to free."
    Output(as_json, quiet, verbose).result(document, lambda: click.echo(text))


def _print(segments: list[SegmentInfo]) -> None:
    if not segments:
        click.echo("No segments of cvbatch workers.")
        return
    rows = [("segment", "bytes", "owner", "")]
    for each in segments:
        rows.append((each.name, human_bytes(each.nbytes), str(each.owner), "alive" if each.owned else "gone"))
    click.echo(table(rows))
