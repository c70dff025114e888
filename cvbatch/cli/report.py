"""``cvbatch report``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from cvbatch.cli.output import Output, config_arguments, output_options


@click.command()
@config_arguments
@click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that is written; report-JOB.html if not given.",
)
@output_options
def report(config: str, overrides: tuple[str, ...], target: Path | None, **said: bool) -> None:
    """Write a page about the job of CONFIG.

    It says what is done, how fast, where the time went and what failed, in one HTML file that needs nothing else, and
    may be made while the job runs. With --json all that is in it but the pictures is printed, and a file is written
    only where --output names one.

    \b
    Example:
      cvbatch report configs/transfer.yaml --output report.html
    """
    from cvbatch.config import load_config
    from cvbatch.config.resolve import resolve
    from cvbatch.inspect.report import gather, render, slices_of
    from cvbatch.runtime.passes import planned
    from cvbatch.runtime.state import open_state

    output = Output(**said)
    resolved = resolve(load_config(config, overrides))
    state = open_state(resolved.job, resolved.state)
    found = gather(planned(resolved.job, state, resolved.crew), state)
    if target is None and not output.as_json:
        target = Path(f"report-{found.job}.html")
    if target is not None:
        _write(target, render(found, slices_of(resolved.job), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"))
    output.result(found.to_json(), lambda: click.echo(str(target)))


def _write(target: Path, page: str) -> None:
    from cvbatch.errors import InputError

    try:
        # Names of files may hold what is no text.
        target.write_bytes(page.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
