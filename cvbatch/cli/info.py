"""``cvbatch info``."""

from __future__ import annotations

from typing import Any

import click

from cvbatch.cli.output import Output, human_bytes, output_options, point, sharding_words, table, triple
from cvbatch.cli.places import place_options


@click.command()
@click.argument("path")
@place_options
@output_options
def info(path: str, as_json: bool, quiet: bool, verbose: bool, **reach: Any) -> None:
    """Show what the volume at PATH is.

    \b
    Examples:
      cvbatch info file://data/sample/em
      cvbatch info s3://public-bucket/em --anonymous
    """
    from cvbatch.inspect import describe_volume
    from cvbatch.storage import StoreOptions, parse_location

    document = describe_volume(parse_location(path, StoreOptions(**reach)))
    Output(as_json, quiet, verbose).result(document, lambda: _print(document))


def _print(volume: dict[str, Any]) -> None:
    channels = volume["num_channels"]
    click.echo(volume["path"])
    click.echo(f"{volume['type']}, {volume['data_type']}, {channels} channel{'s' if channels != 1 else ''}")
    click.echo()
    rows = [("mip", "size", "offset", "nm a voxel", "chunk", "chunks", "encoding", "voxels take")]
    for scale in volume["scales"]:
        encoding = scale["encoding"]
        sizes = (triple(scale["size"]), point(scale["voxel_offset"]), triple(scale["resolution"]))
        chunks = (triple(scale["chunk_size"]), str(scale["chunks"]))
        rows.append((str(scale["mip"]), *sizes, *chunks, encoding, human_bytes(scale["voxel_bytes"])))
    click.echo(table(rows))
    for scale in volume["scales"]:
        if scale["sharding"] is not None:
            click.echo(f"mip {scale['mip']} is in {sharding_words(scale['sharding'])}")
