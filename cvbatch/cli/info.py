"""``cvbatch info``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cvbatch.cli.output import Output, human_bytes, output_options, point, sharding_words, table, triple
from cvbatch.cli.places import place_options


@click.command()
@click.argument("path", type=click.Path())
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
    finest = volume["scales"][0]
    extent = [n * nm for n, nm in zip(finest["size"], finest["resolution"], strict=True)]
    click.echo(volume["path"])
    click.echo(f"{volume['type']}, {volume['data_type']}, {channels} channel{'s' if channels != 1 else ''}")
    click.echo(f"{' × '.join(map(_length, extent))}, {human_bytes(volume['voxel_bytes'])} of voxels in all mips")
    click.echo()
    rows: list[tuple[str, ...]] = [
        (
            "mip",
            "key",
            "size",
            "offset",
            "nm a voxel",
            "chunk",
            "objects",
            "encoding",
            "voxels",
            "a chunk in the middle",
        )
    ]
    rows += [_row(scale) for scale in volume["scales"]]
    click.echo(table(rows))
    for scale in volume["scales"]:
        if scale["sharding"] is not None:
            click.echo(f"mip {scale['mip']} is in {sharding_words(scale['sharding'])}")
    for name, text in _rest(volume):
        click.echo(f"{name:12} {text}")


def _row(scale: dict[str, Any]) -> tuple[str, ...]:
    parameters = ", ".join(f"{name} {value}" for name, value in scale["parameters"].items())
    encoding = f"{scale['encoding']} ({parameters})" if parameters else scale["encoding"]
    stored = scale["stored"]
    sample = "is not there" if stored is None else f"{human_bytes(stored['bytes'])}, {_compressed(stored['compress'])}"
    sizes = (triple(scale["size"]), point(scale["voxel_offset"]), triple(scale["resolution"]))
    counts = (triple(scale["chunk_size"]), f"{scale['objects']:,}")
    return (str(scale["mip"]), scale["key"], *sizes, *counts, encoding, human_bytes(scale["voxel_bytes"]), sample)


def _compressed(name: str) -> str:
    return "not compressed" if name == "none" else name


def _length(nanometres: float) -> str:
    """``12.3 µm``."""
    for unit, size in (("nm", 1.0), ("µm", 1e3), ("mm", 1e6)):
        if nanometres < 1000 * size:
            return f"{nanometres / size:.3g} {unit}"
    return f"{nanometres / 1e9:.3g} m"


def _rest(volume: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What else is known: other members of ``info``, and where the volume comes from."""
    for name, value in volume["other"].items():
        if name != "@type":
            yield name, str(value)
    provenance = volume["provenance"]
    if provenance["description"]:
        yield "description", str(provenance["description"])
    if provenance["owners"]:
        yield "owners", ", ".join(map(str, provenance["owners"]))
    for source in provenance["sources"]:
        yield "from", str(source)
    for entry in provenance["processing"]:
        if isinstance(entry, dict):
            method = entry.get("method")
            task = method.get("task", "?") if isinstance(method, dict) else method
            yield (
                "made by",
                f"{task}, {entry.get('date', 'at an unknown time')}, {entry.get('by', 'by an unknown hand')}",
            )
