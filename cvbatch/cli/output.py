"""What commands print, and where: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cvbatch.config import LoadedConfig
    from cvbatch.planner import Plan

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Output:
    """How much is said: ``as_json`` one document for programs, ``quiet`` only errors, ``verbose`` details."""

    as_json: bool
    quiet: bool
    verbose: bool

    def result(self, document: dict[str, Any], text: Callable[[], None]) -> None:
        """The command's answer, as JSON or as ``text`` prints it."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))
        elif not self.quiet:
            text()


def output_options(function: F) -> F:
    """``--json``, ``--quiet`` and ``--verbose``."""
    for name, help_text in (
        ("--verbose", "Details, and the traceback of an error."),
        ("--quiet", "Only errors."),
        ("--json", "One JSON document on standard output."),
    ):
        variable = "as_json" if name == "--json" else name[2:]
        function = click.option(name, variable, is_flag=True, help=help_text)(function)
    return function


def override_option(function: F) -> F:
    """``--set``."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the configuration, for example destination.compress=br. Repeatable.",
    )(function)


def config_arguments(function: F) -> F:
    """``CONFIG`` and ``--set``."""
    return click.argument("config", type=click.Path(dir_okay=False))(override_option(function))


def confirm_deletion(loaded: LoadedConfig, yes: bool, plan: Callable[[LoadedConfig], Plan]) -> None:
    """Let nobody delete who didn't say ``--yes``, and say what that would delete."""
    if loaded.config.job != "delete" or yes:
        return
    from cvbatch.errors import InputError
    from cvbatch.inspect import describe_plan

    found = describe_plan(plan(loaded))
    levels = [level for each in found["passes"] for level in each["levels"]]
    counts = ", ".join(f"{plural(level['chunks'], 'chunk')} of {level['key']}" for level in levels)
    raise InputError(
        f"this deletes up to {counts} in {found['destination']['path']}, for good. Look with `cvbatch plan`, and say "
        "--yes to delete them"
    )


def yes_option(function: F) -> F:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do delete what a delete job deletes.")(function)


def print_error(error: BaseException) -> None:
    """An error as one paragraph on standard error, and as JSON on standard output where that was asked for."""
    from cvbatch.errors import ConfigError

    arguments = sys.argv[1:]
    if "--verbose" in arguments:
        click.echo("".join(traceback.format_exception(error)), err=True)
    message = _words(error)
    if "--json" in arguments:
        document: dict[str, Any] = {"type": type(error).__name__, "message": message}
        if isinstance(error, ConfigError):
            document["problems"] = [vars(problem) for problem in error.problems]
        click.echo(json.dumps({"error": document}, indent=2))
    click.echo(f"cvbatch: {message}", err=True)


def _words(error: BaseException) -> str:
    """An error in a paragraph, with what to do about it."""
    from cvbatch.errors import CvbatchError

    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, CvbatchError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return (
        f"{type(error).__name__}: {error}. Nobody thought of this, so it is a defect of cvbatch: please report it, "
        "with what --verbose says"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first row above them as their names."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def plural(count: int, noun: str) -> str:
    """``1 task``, ``2 tasks``, ``3 processes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def human_bytes(nbytes: float) -> str:
    """``1.5 MB``: powers of 1000, as disks and networks count."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(nbytes) < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} PB"


def human_seconds(seconds: float) -> str:
    """``3.2 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def point(values: Sequence[float]) -> str:
    """``(128, 0, -64)``."""
    return f"({', '.join(map(_number, values))})"


def triple(values: Sequence[float]) -> str:
    """``128 × 128 × 64``."""
    return " × ".join(map(_number, values))


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def sharding_words(sharding: dict[str, Any]) -> str:
    """``8 shards of 256 × 256 × 128 voxels: 8 chunks, 64.0 MB of voxels each``."""
    count = f"{sharding['shards']} shard{'s' if sharding['shards'] != 1 else ''}"
    shape = f" of {triple(sharding['shape'])} voxels" if sharding["shape"] else ", chunks spread by hash"
    return f"{count}{shape}: {sharding['chunks']} chunks, {human_bytes(sharding['voxel_bytes'])} of voxels each"
