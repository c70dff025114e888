"""A server that has one answer to everything."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping

from .base import Handler, HttpServer


@contextlib.contextmanager
def canned_server(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer each request with this; yields the server's URL, which is one of https with ``tls``."""

    def answer(handler: Handler) -> None:
        handler.request_body()
        handler.answer(status, headers or {}, body)

    methods = dict.fromkeys(("do_GET", "do_HEAD", "do_PUT", "do_POST", "do_DELETE"), answer)
    server = HttpServer(type("Canned", (Handler,), methods))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.start()
    try:
        yield server.url if tls is None else server.url.replace("http:", "https:")
    finally:
        server.stop()


def s3_error(code: str, message: str = "") -> bytes:
    """The XML in which S3 says what is wrong."""
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
