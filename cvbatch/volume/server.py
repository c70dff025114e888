"""A web server on this machine that Neuroglancer can read a volume from."""

from __future__ import annotations

import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from cvbatch.codecs import decompress
from cvbatch.errors import CvbatchError
from cvbatch.storage import Blob, Store

HOST = "127.0.0.1"
# What browsers undo by themselves.
BROWSER_ENCODINGS = ("gzip", "br")
LARGEST_OBJECT = 1 << 32


def _safe_key(path: str) -> str | None:
    """The key of an object, None for a path that leaves the volume or is hidden."""
    parts = [part for part in unquote(urlsplit(path).path).split("/") if part]
    hidden = any(part.startswith(".") or "\0" in part or "\\" in part for part in parts)
    return None if hidden or not parts else "/".join(parts)


class _Handler(BaseHTTPRequestHandler):
    """Reads objects of one store. The path may begin with the volume's own name, as in CloudVolume's viewer."""

    protocol_version = "HTTP/1.1"
    server: VolumeServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self._allow()
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Max-Age", "86400")
        self.end_headers()

    def _allow(self) -> None:
        """Any page may read, which is all that this server does: Neuroglancer runs on other hosts."""
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Length, Content-Range, Content-Encoding")

    def _answer(self, body: bool) -> None:
        # A page that has this address under a name of its own would read what it may not (DNS rebinding).
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        key = _safe_key(self.path)
        try:
            blob = None if key is None else self._as_wanted(self.server.read(key))
        except CvbatchError:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if key is None or blob is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._send(key, blob, self.headers.get("Range"), body)

    def _as_wanted(self, blob: Blob | None) -> Blob | None:
        """The object in an encoding that was asked for; decompressed for ranges, which count bytes as they are sent."""
        if blob is None or blob.encoding == "":
            return blob
        accepted = self.headers.get("Accept-Encoding", "")
        if "Range" not in self.headers and blob.encoding in BROWSER_ENCODINGS and blob.encoding in accepted:
            return blob
        return Blob(decompress(blob.data, blob.encoding, LARGEST_OBJECT))

    def _send(self, key: str, blob: Blob, wanted: str | None, body: bool) -> None:
        size = len(blob.data)
        span = range(size) if wanted is None else _range(wanted, size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self._allow()
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT)
        self._allow()
        is_document = key.rpartition("/")[2] in ("info", "provenance")
        self.send_header("Content-Type", "application/json" if is_document else "application/octet-stream")
        self.send_header("Content-Length", str(len(span)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        if blob.encoding:
            self.send_header("Content-Encoding", blob.encoding)
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{size}")
        self.end_headers()
        if body:
            self.wfile.write(memoryview(blob.data)[span.start : span.stop])

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self._allow()
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request."""


def _range(header: str, size: int) -> range | None:
    """The bytes that a Range header means, None where there are none. Several ranges are taken for the first."""
    match = re.match(r"bytes=(\d*)-(\d*)", header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return range(start, stop) if start < stop else None


class VolumeServer(ThreadingHTTPServer):
    """Serves the objects of one store on this machine only, for reading. Port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, store: Store, port: int) -> None:
        self._store = store
        self._name = store.url.rstrip("/").rpartition("/")[2]
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """What Neuroglancer takes as a source, behind ``precomputed://``."""
        return f"http://localhost:{self.server_address[1]}/{self._name}"

    def read(self, key: str) -> Blob | None:
        """The object under a key, with or without the volume's name before it."""
        return self._store.get(key.removeprefix(f"{self._name}/"))


def serve_volume(store: Store, port: int) -> None:
    """Serve until Ctrl-C."""
    with VolumeServer(store, port) as server:
        try:
            # Who asked for a server in a terminal or notebook has to be told where it is.
            sys.stderr.write(f"Neuroglancer can read precomputed://{server.url} until you press Ctrl-C\n")
            server.serve_forever()
        except KeyboardInterrupt:
            return
