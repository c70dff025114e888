"""``cvbatch shm``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cvbatch.cli.output import Output, human_bytes, output_options, table

if TYPE_CHECKING:
    from cvbatch.memory import NamedSegment, SegmentInfo


@click.group()
def shm() -> None:
    """List and free shared memory of workers and of users."""


@shm.command("list")
@output_options
def list_command(as_json: bool, quiet: bool, verbose: bool) -> None:
    """List the segments of workers, and those that users have named.

    Users name them with download_to_shared_memory. Named segments stay until somebody unlinks them, whatever
    became of who made them.

    \b
    Example:
      cvbatch shm list
    """
    from cvbatch.memory import list_segments, named_segments

    segments, named = list_segments(), named_segments()
    document = {
        "segments": [asdict(segment) for segment in segments],
        "named": [asdict(segment) for segment in named],
    }
    Output(as_json, quiet, verbose).result(document, lambda: _print(segments, named))


@shm.command("sweep")
@output_options
def sweep_command(as_json: bool, quiet: bool, verbose: bool) -> None:
    """Free the segments whose worker is gone.

    Those of living workers, and named ones, are left alone.

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


def _print(segments: list[SegmentInfo], named: list[NamedSegment]) -> None:
    if not segments and not named:
        click.echo("No segments of cvbatch.")
        return
    rows = [("segment", "of", "bytes", "owner", "")]
    for kind, found in (("worker", segments), ("user", named)):
        for each in found:
            fate = "alive" if each.owned else "gone"
            rows.append((each.name, kind, human_bytes(each.nbytes), str(each.owner), fate))
    click.echo(table(rows))
