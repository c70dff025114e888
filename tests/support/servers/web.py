"""A web server of files, with the oddities of web servers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from .base import Handler, HttpServer


class Request(NamedTuple):
    """A request as it was answered; the names of its headers are in lower case."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]


@dataclass
class WebServer:
    """What a server serves, and what it was asked. All may be set while it runs."""

    folder: Path
    ranges: bool = True
    gzip_static: bool = False
    page_for: Callable[[str], bytes | None] | None = None
    forbidden: Callable[[str], bool] | None = None
    authorization: str | None = None
    redirects: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    log: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def web_server(
    folder: str | os.PathLike[str],
    ranges: bool = True,
    gzip_static: bool = False,
    page_for: Callable[[str], bytes | None] | None = None,
    *,
    forbidden: Callable[[str], bool] | None = None,
    authorization: str | None = None,
    redirects: Mapping[str, str] | None = None,
) -> Iterator[WebServer]:
    """Serve the files of a folder by GET and HEAD.

    Parameters
    ----------
    folder
        What is served. A directory is answered 404.
    ranges
        Answer a range of bytes with 206; otherwise with 200 and everything, as some servers do.
    gzip_static
        Where ``/a/b`` is missing, serve ``/a/b.gz`` with a Content-Encoding of gzip.
    page_for
        A page of HTML to answer with status 200 instead of the file, as captive portals and log-in pages are; or None.
    forbidden
        The paths to answer 403.
    authorization
        The value that the header Authorization must have; all else is answered 401.
    redirects
        Paths answered 302, and where to.
    """
    served = WebServer(Path(folder), ranges, gzip_static, page_for, forbidden, authorization, redirects or {})
    server = HttpServer(type("WebHandler", (_WebHandler,), {"served": served}))
    served.url = server.url
    server.start()
    try:
        yield served
    finally:
        server.stop()


class _WebHandler(Handler):
    """One connection of a client."""

    served: WebServer

    def do_GET(self) -> None:
        served = self.served
        path = unquote(self.path.partition("?")[0])
        if served.authorization is not None and self.headers.get("Authorization") != served.authorization:
            self._answer(401, {"WWW-Authenticate": "Bearer"})
        elif path in served.redirects:
            self._answer(302, {"Location": served.redirects[path]})
        elif served.page_for is not None and (page := served.page_for(path)) is not None:
            self._answer(200, {"Content-Type": "text/html; charset=utf-8"}, page)
        elif served.forbidden is not None and served.forbidden(path):
            self._answer(403, {})
        else:
            self._answer_file(path)

    do_HEAD = do_GET  # noqa: N815

    def _answer_file(self, path: str) -> None:
        file = self._file(path)
        if file is not None:
            self._answer_part(file, {})
        elif self.served.gzip_static and (file := self._file(path + ".gz")) is not None:
            self._answer_part(file, {"Content-Encoding": "gzip"})
        else:
            self._answer(404, {}, b"not found")

    def _file(self, path: str) -> Path | None:
        file = self.served.folder / path.lstrip("/")
        inside = file.resolve().is_relative_to(self.served.folder.resolve())
        return file if inside and file.is_file() and not path.endswith("/") else None

    def _answer_part(self, file: Path, headers: Mapping[str, str]) -> None:
        data = file.read_bytes()
        headers = {
            **headers,
            "Content-Type": "application/octet-stream",
            "ETag": f'"{hashlib.md5(data).hexdigest()}"',
            "Last-Modified": formatdate(file.stat().st_mtime, usegmt=True),
        }
        if not self.served.ranges:
            self._answer(200, headers, data)
            return
        headers["Accept-Ranges"] = "bytes"
        wanted = self.headers.get("Range")
        part = None if wanted is None else byte_range(wanted, len(data))
        if part is None:
            self._answer(200, headers, data)
        elif len(part) == 0:
            self._answer(416, {"Content-Range": f"bytes */{len(data)}"})
        else:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
            self._answer(206, headers, data[part.start : part.stop])

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        sent = {name.lower(): value for name, value in self.headers.items()}
        with self.served.lock:
            self.served.log.append(Request(self.command, self.path, status, sent))
        self.answer(status, headers, body)


def byte_range(header: str, nbytes: int) -> range | None:
    """The bytes that a Range asks for; none if it is past the end, and None if it isn't a single range.

    >>> byte_range("bytes=2-4", 10), byte_range("bytes=-3", 10), byte_range("bytes=8-99", 10)
    (range(2, 5), range(7, 10), range(8, 10))
    >>> byte_range("bytes=0-1,4-5", 10), len(byte_range("bytes=10-", 10))
    (None, 0)
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if not first:
        return range(max(0, nbytes - int(last)), nbytes)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(nbytes, int(last) + 1) if last else nbytes)
