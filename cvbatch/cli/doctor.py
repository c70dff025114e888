"""``cvbatch doctor``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cvbatch.cli.output import Output, output_options
from cvbatch.cli.places import place_options

if TYPE_CHECKING:
    from cvbatch.inspect import Diagnosis
    from cvbatch.storage import Location, StoreOptions

MARKS = {"ok": "✓", "note": "·", "problem": "✗"}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@place_options
@click.option("--no-write", is_flag=True, help="Don't try to write. Else some small objects are written, and removed.")
@output_options
def doctor(paths: tuple[str, ...], no_write: bool, as_json: bool, quiet: bool, verbose: bool, **reach: Any) -> None:
    """Tell what works at each PATH, and what to do about what doesn't.

    A PATH is that of a volume or of a place for one, or a configuration, whose source and destination are looked at. It
    says with which credentials, and how fast. Takes ten seconds a place at the most. Exit status 1 if something is in
    the way.

    \b
    Examples:
      cvbatch doctor s3://my-bucket/em
      cvbatch doctor configs/s3-to-s3.yaml
    """
    from cvbatch.inspect import diagnose
    from cvbatch.storage import StoreOptions

    places = [place for path in paths for place in _places(path, StoreOptions(**reach))]
    diagnoses = []
    for place, is_source in places:
        diagnoses.append(diagnose(place, may_write=not (no_write or is_source)))
        if not (as_json or quiet):
            _print(diagnoses[-1])
    usable = all(each.is_usable for each in diagnoses)
    Output(as_json, quiet, verbose).result(
        {"usable": usable, "places": [each.to_json() for each in diagnoses]}, lambda: None
    )
    sys.exit(0 if usable else 1)


def _places(path: str, options: StoreOptions) -> Iterator[tuple[Location, bool]]:
    """The places that an argument means, and whether each is only read."""
    from cvbatch.config import load_config
    from cvbatch.storage import parse_location

    if not path.endswith((".yaml", ".yml")):
        yield parse_location(path, options), False
        return
    config = load_config(path).config
    yield config.source.location, config.destination is not None
    if config.destination is not None:
        yield config.destination.location, False


def _print(diagnosis: Diagnosis) -> None:
    click.echo(diagnosis.url)
    for finding in diagnosis.findings:
        click.echo(f"  {MARKS[finding.verdict]} {finding.what:<14} {finding.detail}")
        if finding.advice:
            click.echo(f"    {'':<14} → {finding.advice}")
    click.echo()
