"""``cvbatch plan``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cvbatch.cli.output import (
    Output,
    config_arguments,
    human_bytes,
    human_seconds,
    output_options,
    point,
    sharding_words,
    table,
    triple,
)


@click.command()
@config_arguments
@click.option("--calibrate", is_flag=True, help="Work for some seconds, and tell how long all of it takes.")
@output_options
def plan(config: str, overrides: tuple[str, ...], calibrate: bool, **said: bool) -> None:
    """Show what the job of CONFIG would do, need and cost.

    \b
    Example:
      cvbatch plan configs/transfer.yaml
      cvbatch plan configs/transfer.yaml --calibrate

    A few chunks are read and encoded to tell how many bytes there will be.
    Nothing is written.
    """
    from cvbatch.api.describe import describe
    from cvbatch.config import load_config

    document = describe(load_config(config, overrides), calibrate)
    Output(**said).result(document, lambda: _print(document))


def _print(plan: dict[str, Any]) -> None:
    channels = plan["num_channels"]
    deletes = plan["kind"] == "delete"
    click.echo(f"Job {plan['job']}: {plan['kind']}")
    click.echo(f"  {'in  ' if deletes else 'from'} {plan['source']['path']}")
    if not deletes:
        click.echo(f"  to   {plan['destination']['path']}")
    click.echo(f"  {plan['type']}, {plan['data_type']}, {channels} channel{'s' if channels != 1 else ''}")
    click.echo()
    click.echo(table([("mip", "nm a voxel", "", "size", "chunk", "encoding", "objects", "bytes", "box"), *_mips(plan)]))
    click.echo()
    rows = [("pass", "tasks", "of voxels", "how", "deletes chunks" if deletes else "writes chunks")]
    for each in plan["passes"]:
        chunks = ", ".join(map(_chunks, each["levels"]))
        rows.append((str(each["number"] + 1), str(each["tasks"]), triple(each["task_shape"]), each["route"], chunks))
    click.echo(table(rows))
    for scale in plan["destination"]["scales"]:
        if scale["sharding"] is not None and not deletes:
            click.echo(f"{scale['key']} goes into {sharding_words(scale['sharding'])}")
    click.echo()
    for name, text in _costs(plan):
        click.echo(f"{name:9} {text}")
    for warning in plan["warnings"]:
        click.echo(f"{'warning':9} {warning}")


def _mips(plan: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for the source and one for the destination of each resolution."""
    names = ("in", "in") if plan["kind"] == "delete" else ("from", "to")
    for mip, both in enumerate(plan["mips"]):
        if plan["kind"] == "delete" and both["destination"] is None:
            continue
        head = (str(mip), triple(both["resolution"]))
        sides = [(names[0], both["source"], ""), (names[1], both["destination"], plan["destination"]["compress"])]
        if plan["kind"] != "transfer" and both["source"] is not None and both["destination"] is not None:
            sides = sides[1:]
        for name, scale, compress in sides:
            if scale is not None:
                nbytes = _bytes(plan, scale) if name == "to" else ""
                yield (*head, name, *_row(scale, compress if scale["box"] else "", nbytes))
                head = ("", "")


def _bytes(plan: dict[str, Any], scale: dict[str, Any]) -> str:
    """About how many a scale will have."""
    levels = {} if plan["estimate"] is None else plan["estimate"]["levels"]
    return f"~ {human_bytes(levels[scale['key']])}" if scale["key"] in levels else ""


def _row(scale: dict[str, Any], compress: str, nbytes: str) -> tuple[str, ...]:
    if compress and scale["sharding"] is not None:
        compress = {"gzip": "gzip", "raw": "none"}[scale["sharding"]["data_encoding"]]
    encoding = f"{scale['encoding']} + {compress}" if compress not in ("", "none") else scale["encoding"]
    layout = " in shards" if scale["sharded"] else ""
    box = "–" if scale["box"] is None else f"{point(scale['box'][:3])} – {point(scale['box'][3:])}"
    sizes = (triple(scale["size"]), triple(scale["chunk_size"]))
    return (*sizes, encoding + layout, f"{scale['objects']:,}", nbytes, box)


def _costs(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the job will need, a line for each thing."""
    low, high = plan["source"]["region_nm"][:3], plan["source"]["region_nm"][3:]
    yield "box", f"{point(low)} – {point(high)} nm"
    requests = plan["requests"]
    kinds = [f"{requests[kind]:,} {kind.upper()}" for kind in ("get", "put", "copy", "delete") if requests[kind]]
    exactly = "" if requests["exact"] else "about "
    yield "requests", f"{exactly}{', '.join(kinds)} for chunks, and about {requests['bookkeeping']:,} for the rest"
    found = plan["estimate"]
    if found is not None and found["bytes_in"] is not None:
        yield (
            "bytes",
            (
                f"about {human_bytes(found['bytes_in'])} in, {human_bytes(found['bytes_out'])} out, "
                f"by {found['boxes'] - found['unreadable']} boxes that were tried"
            ),
        )
    machine, worker = plan["machine"], plan["worker"]
    yield (
        "workers",
        (
            f"{machine['processes']} here, each with about {human_bytes(worker['memory_projected_bytes'])} "
            f"(at most {human_bytes(worker['memory_budget_bytes'])}); the memory that is free has room for "
            f"{machine['workers_that_fit']}"
        ),
    )
    if found is not None and found["seconds"] is not None:
        yield (
            "time",
            (
                f"about {human_seconds(found['seconds'])} with {machine['processes']} workers, "
                "if the destination takes what they send"
            ),
        )


def _chunks(level: dict[str, Any]) -> str:
    """``4_4_40: 64``, or with the objects that shards save."""
    chunks, objects = level["chunks"], level["objects"]
    shards = f" in {objects} shards, {chunks - objects} objects saved" if objects != chunks else ""
    return f"{level['key']}: {chunks}{shards}"
