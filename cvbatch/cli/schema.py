"""``cvbatch schema``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write it there; else it is printed.")
def schema(output: str | None) -> None:
    """Print the JSON schema of configurations, with which editors complete and check them.

    \b
    Example:
      cvbatch schema --output cvbatch.schema.json

    Editors with a YAML language server, such as VS Code with its YAML extension, use it for a configuration beside it
    that begins with the line

    \b
      # yaml-language-server: $schema=cvbatch.schema.json

    It knows the keys, their values and what they mean. Whether the volumes are there, and fit, is told by
    `cvbatch plan CONFIG`.
    """
    import json

    from cvbatch.config.schema import EDITOR_LINE, config_schema
    from cvbatch.errors import InputError

    text = json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} can't be written: {error.strerror}") from error
    click.echo(f"Wrote {output}. The first line of a configuration beside it: {EDITOR_LINE}{Path(output).name}")
