"""``cvbatch plan``."""

from __future__ import annotations

from typing import Any

import click

from cvbatch.cli.output import (
    Output,
    config_arguments,
    human_bytes,
    output_options,
    point,
    sharding_words,
    table,
    triple,
)


@click.command()
@config_arguments
@output_options
def plan(config: str, overrides: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool) -> None:
    """Show what the job of CONFIG would do. Nothing is written.

    \b
    Example:
      cvbatch plan configs/transfer.yaml
    """
    from cvbatch.api import load_config
    from cvbatch.api import plan as make_plan
    from cvbatch.inspect import describe_plan

    document = describe_plan(make_plan(load_config(config, overrides)))
    Output(as_json, quiet, verbose).result(document, lambda: _print(document))


def _print(plan: dict[str, Any]) -> None:
    source, destination = plan["source"], plan["destination"]
    click.echo(f"Job {plan['job']}: {plan['kind']}")
    click.echo(f"  from {source['path']}")
    click.echo(f"  to   {destination['path']}")
    low, high = source["region"][:3], source["region"][3:]
    nanometres = f"{point(source['region_nm'][:3])} – {point(source['region_nm'][3:])}"
    click.echo(f"  box  {point(low)} – {point(high)} voxels of the source, {nanometres} nm")
    click.echo()
    rows: list[tuple[str, ...]] = [("", "size", "offset", "nm a voxel", "chunk", "encoding")]
    rows.append(_row("source", source["scale"], ""))
    rows += [_row(f"writes {s['key']}", s, destination["compress"]) for s in destination["scales"]]
    click.echo(table(rows))
    click.echo()
    rows = [("pass", "tasks", "of voxels", "how", "writes chunks")]
    for each in plan["passes"]:
        chunks = ", ".join(map(_chunks, each["levels"]))
        rows.append((str(each["number"] + 1), str(each["tasks"]), triple(each["task_shape"]), each["route"], chunks))
    click.echo(table(rows))
    for scale in destination["scales"]:
        if scale["sharding"] is not None:
            click.echo(f"{scale['key']} goes into {sharding_words(scale['sharding'])}")
    worker = plan["worker"]
    click.echo()
    click.echo(
        f"A worker needs about {human_bytes(worker['memory_projected_bytes'])} "
        f"of its {human_bytes(worker['memory_budget_bytes'])}."
    )


def _chunks(level: dict[str, Any]) -> str:
    """``4_4_40: 64``, or with the objects that shards save."""
    chunks, objects = level["chunks"], level["objects"]
    shards = f" in {objects} shards, {chunks - objects} objects saved" if objects != chunks else ""
    return f"{level['key']}: {chunks}{shards}"


def _row(name: str, scale: dict[str, Any], compress: str) -> tuple[str, ...]:
    if compress and scale["sharding"] is not None:
        compress = {"gzip": "gzip", "raw": "none"}[scale["sharding"]["data_encoding"]]
    encoding = f"{scale['encoding']} + {compress}" if compress not in ("", "none") else scale["encoding"]
    sizes = (triple(scale["size"]), point(scale["voxel_offset"]), triple(scale["resolution"]))
    return (name, *sizes, triple(scale["chunk_size"]), encoding)
