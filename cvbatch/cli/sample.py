"""``cvbatch sample``."""

from __future__ import annotations

import click

from cvbatch.cli.output import Output, output_options


@click.command()
@click.argument("directory", type=click.Path())
@click.option(
    "--size", nargs=3, type=click.IntRange(8), default=(512, 512, 64), show_default=True, help="Voxels, x y z."
)
@output_options
def sample(directory: str, size: tuple[int, int, int], as_json: bool, quiet: bool, verbose: bool) -> None:
    """Write a small made-up EM volume and segmentation to DIRECTORY.

    The voxels are the same every time. What is there already and is not such a sample is not overwritten.

    \b
    Example:
      cvbatch sample data/sample        writes data/sample/em and data/sample/seg
    """
    from cvbatch.geometry import Vec
    from cvbatch.sample import write_sample

    made = write_sample(directory, Vec(*size))
    document = {"image": made.image, "segmentation": made.segmentation}
    text = f"Wrote {made.image} and {made.segmentation}.\nNext: cvbatch run configs/transfer.yaml"
    Output(as_json, quiet, verbose).result(document, lambda: click.echo(text))
