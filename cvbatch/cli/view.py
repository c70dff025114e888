"""``cvbatch view``."""

from __future__ import annotations

import signal
from typing import Any

import click

from cvbatch.cli.output import Output, output_options, table
from cvbatch.cli.places import place_options


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Where to serve; 0 takes a free one."
)
@click.option("--open", "opens", is_flag=True, help="Open the browser.")
@place_options
@output_options
def view(paths: tuple[str, ...], port: int, opens: bool, **others: Any) -> None:
    """Show the volumes at each PATH in Neuroglancer, until Ctrl-C.

    They lie on top of each other, and are served to browsers on this machine only, whatever place they are in.
    Neuroglancer itself comes with pip install 'cvbatch[view]', and works without a network then; without that, from the
    web.

    \b
    Examples:
      cvbatch view data/sample/em data/sample/seg
      cvbatch view s3://public-bucket/em --anonymous --open
    """
    # Before the first thing that takes time, so that it ends cleanly at any moment.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        output = Output(*(others.pop(name) for name in ("as_json", "quiet", "verbose")))
        _serve(paths, port, opens, output, others)
    except KeyboardInterrupt:
        return


def _serve(paths: tuple[str, ...], port: int, opens: bool, output: Output, reach: dict[str, Any]) -> None:
    from cvbatch.inspect.client import find_client
    from cvbatch.inspect.view import ViewServer, open_volumes
    from cvbatch.storage import StoreOptions, parse_location

    volumes = open_volumes([parse_location(path, StoreOptions(**reach)) for path in paths])
    client = find_client()
    with ViewServer(volumes, port, client) as server:
        document = server.to_json()
        if client is None and not output.quiet:
            click.echo("Neuroglancer comes from the web; offline, and all local: pip install 'cvbatch[view]'", err=True)
        output.result(document, lambda: _print(document))
        if opens:
            _open(server.link)
        server.serve_forever()


def _print(document: dict[str, Any]) -> None:
    click.echo(table([(layer["name"], layer["type"], layer["source"]) for layer in document["layers"]]))
    click.echo(f"\n{document['url']}\n")
    click.echo("Open this in a browser. Ctrl-C ends it.", err=True)


def _open(link: str) -> None:
    import threading
    import webbrowser

    # A browser in the terminal keeps its caller waiting until it is left, and the page waits for the server.
    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
