"""A web server on this machine that Neuroglancer can read volumes from."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from cvbatch.codecs import decompress
from cvbatch.errors import CvbatchError
from cvbatch.storage import Blob, Store

HOST = "127.0.0.1"
METHODS = "GET, HEAD, OPTIONS"
# What browsers undo by themselves.
BROWSER_ENCODINGS = ("gzip", "br")
LARGEST_OBJECT = 1 << 32

log = logging.getLogger("cvbatch.server")


@dataclass(frozen=True)
class Page:
    """What is answered beside volumes: a file, or with ``location`` the way to another page."""

    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    location: str = ""


def volume_name(store: Store) -> str:
    """What the volume at a store is called: the last part of its path.

    >>> from cvbatch.storage import open_store
    >>> volume_name(open_store("mem://retina/em"))
    'em'
    """
    # Names that begin with a point are hidden, and never served.
    return unquote(store.url.rstrip("/").rpartition("/")[2]).lstrip(".") or "volume"


def _safe_key(path: str) -> str | None:
    """The path without host, query and needless slashes, None for one that leaves the volume or is hidden."""
    parts = [part for part in unquote(path.partition("?")[0]).split("/") if part]
    hidden = any(part.startswith(".") or "\0" in part or "\\" in part for part in parts)
    return None if hidden else "/".join(parts)


class _Handler(BaseHTTPRequestHandler):
    """Reads objects of the server's volumes, for who asks for this machine by its own name."""

    protocol_version = "HTTP/1.1"
    # Head and body are two small packets, of which the second would wait for the browser to confirm the first.
    disable_nagle_algorithm = True
    server: VolumeServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self._allow()
        self.send_header("Access-Control-Allow-Methods", METHODS)
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Max-Age", "86400")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what the base class doesn't understand: other methods, and what isn't HTTP."""
        # What may follow, such as the body of a PUT, is not read.
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._refuse(status, message or status.phrase)

    def _allow(self) -> None:
        """Any page may read, which is all that this server does: Neuroglancer runs on other hosts."""
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Length, Content-Range, Content-Encoding")

    def _answer(self, body: bool) -> None:
        host = self.headers.get("Host", "")
        # A page that has this address under a name of its own would read what it may not (DNS rebinding).
        if host.partition(":")[0] not in (HOST, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN, f"for the host {host!r}")
            return
        key = _safe_key(self.path)
        if key is None:
            self._refuse(HTTPStatus.NOT_FOUND, "the path is hidden or leaves the volume")
            return
        page = self.server.page(key, host)
        if page is not None:
            self._send_page(page, body)
            return
        try:
            self._answer_object(key, body)
        except CvbatchError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _answer_object(self, key: str, body: bool) -> None:
        wanted = self.headers.get("Range")
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        if part is not None and key.endswith(".shard"):
            self._send_part(key, int(part[1]), int(part[2]) + 1, body)
            return
        blob = self._as_wanted(self.server.read(key))
        if blob is None:
            self._empty(HTTPStatus.NOT_FOUND)
        else:
            self._send(key, blob, wanted, body)

    def _as_wanted(self, blob: Blob | None) -> Blob | None:
        """The object in an encoding that was asked for; decompressed for ranges, which count bytes as they are sent."""
        if blob is None or blob.encoding == "":
            return blob
        accepted = self.headers.get("Accept-Encoding", "")
        if "Range" not in self.headers and blob.encoding in BROWSER_ENCODINGS and blob.encoding in accepted:
            return blob
        return Blob(decompress(blob.data, blob.encoding, LARGEST_OBJECT))

    def _send_part(self, key: str, start: int, stop: int, body: bool) -> None:
        """Bytes of a shard, which may be of any size and is never compressed as a whole: only these are read."""
        data = self.server.read_range(key, start, stop)
        if not data:
            self._empty(HTTPStatus.NOT_FOUND if data is None else HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self._allow()
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-cache")
        # How many there are in all would cost a request more, and Neuroglancer doesn't ask.
        self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/*")
        self._finish(data, body)

    def _send(self, key: str, blob: Blob, wanted: str | None, body: bool) -> None:
        size = len(blob.data)
        span = range(size) if wanted is None else _range(wanted, size)
        if span is None:
            self._empty(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
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
        self._finish(memoryview(blob.data)[span.start : span.stop], body)

    def _send_page(self, page: Page, body: bool) -> None:
        self.send_response(HTTPStatus.FOUND if page.location else HTTPStatus.OK)
        if page.location:
            self.send_header("Location", page.location)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-cache")
        self._finish(page.body, body)

    def _finish(self, data: bytes | memoryview, body: bool) -> None:
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """An answer that somebody may have to look into."""
        # The path is not there where not even the first line could be read.
        log.warning("%d for %s %.200r: %s", status, self.command, getattr(self, "path", ""), why)
        self._empty(status, {"Allow": METHODS} if status == HTTPStatus.METHOD_NOT_ALLOWED else {})

    def _empty(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self._allow()
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        if self.close_connection:
            self.send_header("Connection", "close")
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
    """Serves the objects of stores, each below its name, on this machine only, for reading. Port 0 takes a free one.

    Of a single store they are also served without the name, as CloudVolume's viewer does.
    """

    daemon_threads = True
    # A browser opens all of its connections at once.
    request_queue_size = 128

    def __init__(self, stores: Mapping[str, Store], port: int) -> None:
        self._stores = dict(stores)
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"{HOST}:{self.server_address[1]}"

    def page(self, path: str, host: str) -> Page | None:
        """What is at a path beside volumes, for who calls this machine ``host``."""
        return None

    def read(self, path: str) -> Blob | None:
        """The object at a path, None where there is none."""
        store, key = self._find(path)
        return store.get(key) if store is not None and key else None

    def read_range(self, path: str, start: int, stop: int) -> bytes | None:
        """Bytes [start, stop) of the object as stored, fewer at its end, or None where there is none."""
        store, key = self._find(path)
        return store.get_range(key, start, stop) if store is not None and key else None

    def _find(self, path: str) -> tuple[Store | None, str]:
        name, _, key = path.partition("/")
        if name in self._stores:
            return self._stores[name], key
        return (next(iter(self._stores.values())), path) if len(self._stores) == 1 else (None, path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but not of browsers that hang up, as they do with chunks that have left the view."""
        if not isinstance(sys.exception(), ConnectionError):
            log.exception("a request failed")


def source_url(host: str, name: str) -> str:
    """What Neuroglancer takes as a source: the volume ``name`` of the server at ``host:port``."""
    return f"precomputed://http://{host}/{quote(name)}"


def serve_volume(store: Store, port: int) -> None:
    """Serve until Ctrl-C."""
    name = volume_name(store)
    with VolumeServer({name: store}, port) as server:
        try:
            # Who asked for a server in a terminal or notebook has to be told where it is.
            sys.stderr.write(f"Neuroglancer can read {source_url(server.address, name)} until you press Ctrl-C\n")
            server.serve_forever()
        except KeyboardInterrupt:
            return
