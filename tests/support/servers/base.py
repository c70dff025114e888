"""What the servers share: threads that end with the server, and programs that end with the test."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

START_SECONDS = 30.0
STOP_SECONDS = 5.0

# The shell becomes the program. A neighbour in its group ends both when the pipe from the test process closes,
# so that a killed test leaves nothing running.
_END_WITH_PARENT = 'exec 3<&0; (cat <&3 >/dev/null; kill 0) & exec "$@" </dev/null 3<&-'


@dataclass(frozen=True)
class Server:
    """Where an S3 server listens, and an access key it accepts."""

    url: str
    key: str
    secret: str


class HttpServer(ThreadingHTTPServer):
    """A server on a free port, with a thread a connection. Closing it hangs up and joins all of them."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=handler.__name__)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everyone, and wait for the threads."""
        self.shutdown()
        self._thread.join()
        with self._connections_lock:
            for connection in self._connections:
                hang_up(connection)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._connections_lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients may hang up whenever they like.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers with keep-alive, and prints nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def request_body(self) -> bytes:
        """The body of the request, whole, whether it came with its length or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self._exactly(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a whole answer; of one to HEAD, everything but the body."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not {"Content-Length", "Transfer-Encoding"} & set(headers) and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _exactly(self, nbytes: int) -> bytes:
        data = self.rfile.read(nbytes)
        if len(data) < nbytes:
            raise ConnectionAbortedError(f"the client hung up {nbytes - len(data)} bytes before the end of its body")
        return data

    def _chunks(self) -> Iterator[bytes]:
        while nbytes := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self._exactly(nbytes)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers


def hang_up(connection: socket.socket) -> None:
    """End both directions of a connection that another thread may be reading."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def program(
    arguments: Sequence[str], ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[re.Match[str]]:
    """Run a program until the end of the context; yields the match of ``ready`` in what it printed.

    It ends with this process, too, however that ends.

    Raises
    ------
    RuntimeError
        It ended, or didn't become ready in 30 seconds. The message has what it printed.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _END_WITH_PARENT, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            yield _match_of_output(process, output.fileno(), ready)
        finally:
            _stop(process)


def _match_of_output(process: subprocess.Popen[bytes], output: int, ready: str) -> re.Match[str]:
    deadline = time.monotonic() + START_SECONDS
    while True:
        ended = process.poll() is not None
        text = os.pread(output, 1 << 20, 0).decode(errors="replace")
        if match := re.search(ready, text):
            return match
        if ended or time.monotonic() > deadline:
            raise RuntimeError(f"the program {'ended' if ended else 'is not ready'}; it printed: {text}")
        time.sleep(0.01)


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        _signal_group(process, signal.SIGTERM)
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()
    finally:
        process.stdin.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
