"""``cvbatch verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvbatch.cli.output import Output, human_seconds, output_options, override_option, plural
from cvbatch.cli.places import place_options

if TYPE_CHECKING:
    from cvbatch.inspect.verify import Verification

MOST_SHOWN = 50


@click.command()
@click.argument("what", nargs=-1, required=True, type=click.Path(), metavar="CONFIG | SOURCE DESTINATION")
@click.option(
    "--sample",
    type=click.IntRange(0),
    help="Compare only so many tasks of each pass, picked at random; 0: only look whether the chunks are there.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    help="How far off a voxel of an image may be, besides what a lossy encoding loses.",
)
@click.option("--repair", is_flag=True, help="Run the tasks again that write what is wrong.")
@click.option("--state", help="URL where to note what was compared, to go on after an interruption.")
@override_option
@place_options
@output_options
def verify(what: tuple[str, ...], overrides: tuple[str, ...], state: str | None, **said: Any) -> None:
    """Compare a volume with what it should be, and name what differs.

    \b
    Examples:
      cvbatch verify configs/transfer.yaml
      cvbatch verify configs/transfer.yaml --repair
      cvbatch verify configs/transfer.yaml --sample 100
      cvbatch verify file://data/sample/em s3://bucket/em --tolerance 1

    With a configuration every chunk that its job writes must be there, be whole, and hold the voxels that the job makes
    of the source; coarser levels are downsampled anew. Of two volumes each scale is compared with the one of the same
    resolution, or with the scale below it downsampled; --endpoint and its like are then of both. Nothing is written
    without --repair. Exit status 1 if anything differs, or could not be compared.
    """
    from cvbatch.api.verify import VerifyOptions, verify_volumes
    from cvbatch.api.verify import verify as verify_job
    from cvbatch.cli.progress import progress
    from cvbatch.cli.run import signals
    from cvbatch.config import load_config
    from cvbatch.runtime.stop import StopFlag
    from cvbatch.storage import StoreOptions, parse_location

    if len(what) > 2 or (len(what) == 1 and Path(what[0]).is_dir()):
        raise click.UsageError("give a configuration, or two volumes: a source and a destination")
    if len(what) == 2 and (said["repair"] or overrides):
        raise click.UsageError("--repair and --set need the configuration of the job that made the volume")
    wanted = {name: said.pop(name) for name in ("tolerance", "sample", "repair")}
    how = VerifyOptions(**wanted, state=parse_location(state) if state else None)
    output, stop = Output(**{name: said.pop(name) for name in ("as_json", "quiet", "verbose")}), StopFlag()
    with signals(stop), progress(output) as tell:
        if len(what) == 1:
            found = [verify_job(load_config(what[0], overrides), how, tell, stop)]
        else:
            source, destination = (parse_location(path, StoreOptions(**said)) for path in what)
            found = verify_volumes(source, destination, how, tell, stop)
    right = all(each.right for each in found)
    document = {"right": right, "comparisons": [each.to_json() for each in found]}
    output.result(document, lambda: _print_all(found))
    if not right:
        sys.exit(1)


def _print_all(found: list[Verification]) -> None:
    for each in found:
        _print(each)


def _print(found: Verification) -> None:
    _print_extent(found)
    for listing in found.listings:
        if listing.strays:
            names = ", ".join(listing.stray_names[:3])
            click.echo(
                f"  strays   {plural(listing.strays, 'file')} of {listing.level} that no reader asks for: {names} …"
            )
    if found.repaired:
        click.echo(f"  repaired {plural(len(found.repaired), 'chunk')}")
    findings = found.verdict.findings
    for finding in findings[:MOST_SHOWN]:
        click.echo(f"  {finding.problem:8} {finding.level}/{finding.chunk}: {finding.detail}")
    if len(findings) > MOST_SHOWN:
        click.echo(f"  … and {len(findings) - MOST_SHOWN} more: --json names all")
    for failure in found.report.failures[:MOST_SHOWN] if found.report is not None else ():
        click.echo(f"  failed   task {failure.task} could not be compared: {failure.error}")
    check = found.plan.job.check
    if findings and check is not None and check.ours and not found.repaired:
        click.echo("`cvbatch verify CONFIG --repair` runs just the tasks again that write these chunks.")


def _print_extent(found: Verification) -> None:
    """What was compared with what, and how much of it."""
    job, verdict = found.plan.job, found.verdict
    below = job.source.location == job.destination
    against = f"its scale {job.source.scale.key}, downsampled" if below else job.source.location.url
    click.echo(f"{job.destination.url} against {against}: {_outcome(found)}")
    levels = ", ".join(each.level for each in found.listings)
    click.echo(f"  levels   {levels}")
    if found.report is not None:
        seconds = human_seconds(found.report.seconds)
        click.echo(
            f"  compared {plural(verdict.chunks, 'chunk')}, {verdict.voxels / 1e6:,.1f} million voxels, in {seconds}"
        )
    for number, each in enumerate(found.sampled):
        if each.tasks < each.total:
            share = f"; with 95 % confidence at most {100 * each.bad_share:.2g} % of all differ" if each.tasks else ""
            none = share if not verdict.findings else ""
            click.echo(f"  sample   {each.tasks} of {plural(each.total, 'task')} of pass {number + 1}{none}")
    if verdict.lossy_voxels:
        click.echo(
            f"  lossy    voxels are off by {verdict.error_mean:.3g} on average, by {verdict.error_max:g} at most"
        )


def _outcome(found: Verification) -> str:
    if found.right:
        return "all is as it should be"
    problems = ("missing", "damaged", "differs", "twice")
    counts = [f"{found.count(problem)} {problem}" for problem in problems if found.count(problem)]
    failed = [] if found.report is None or found.report.complete else ["not all could be compared"]
    return ", ".join([*counts, *failed])
