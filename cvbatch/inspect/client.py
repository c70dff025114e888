"""Neuroglancer's client, where the extra ``view`` has installed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cvbatch.volume.server import Page

# The client looks for such a path to find the Python server that it belongs to.
ROOT = "v/cvbatch"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".wasm": "application/wasm",
}
# The client takes its state from the address, but still listens to a Python server, and complains where there is none.
# A listener that hears nothing keeps it content, and no connection busy. The icon is one that isn't asked for.
HEAD = """<head><link rel="icon" href="data:,"><script>
window.EventSource = class { constructor() { setTimeout(() => this.onopen?.()); } close() {} };
</script>"""


@dataclass(frozen=True)
class PackagedClient:
    """The files of the client, by name."""

    files: Mapping[str, Path]

    def page(self, path: str) -> Page | None:
        """A file of the client below ``ROOT``, None for any other path."""
        folder, _, name = path.rpartition("/")
        if path == ROOT:
            text = self.files["index.html"].read_text(encoding="utf-8")
            return Page(text.replace("<head>", HEAD, 1).encode())
        file = self.files.get(name) if folder == ROOT else None
        return None if file is None else Page(file.read_bytes(), CONTENT_TYPES[file.suffix])


def find_client() -> PackagedClient | None:
    """The client that the package ``neuroglancer`` brings, None without it."""
    # Importing the package would start a second's work for a server that isn't used here.
    spec = find_spec("neuroglancer")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        found = Path(folder, "static", "client")
        files = {file.name: file for file in found.glob("*") if file.suffix in CONTENT_TYPES}
        if "index.html" in files:
            return PackagedClient(files)
    return None
