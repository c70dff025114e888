"""A proxy in front of a server, which spoils a share of what passes."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .base import Handler, HttpServer, hang_up

UPSTREAM_SECONDS = 60.0

#: Answers given without asking the server: status and the code S3 has for it.
STATUSES = {"429": "TooManyRequests", "500": "InternalError", "503": "SlowDown"}
#: Spoil the connection: after the server has done what was asked, so that a write may have happened.
CONNECTION_FAULTS = frozenset({"reset", "stall"})
#: Spoil the body that a GET brings; requests without one pass unspoilt.
BODY_FAULTS = frozenset({"truncate", "corrupt", "short"})
FAULTS = frozenset(STATUSES) | CONNECTION_FAULTS | BODY_FAULTS

# They concern one connection, not the message. A body that is forwarded whole has its length instead of chunks,
# if the server said so itself.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "expect"}
)


@dataclass
class _Answer:
    """What the server said, with its body whole."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    chunked: bool


class FaultProxy:
    """Forwards to a server, and spoils a share of the requests, drawn with a seed.

    ``faults`` has the probability of each:

    - ``429``, ``500``, ``503``: that status with the XML of S3, without asking the server.
    - ``reset``: half of the body, then RST. ``stall``: half of the body, then nothing until the client hangs up.
      Without a body in the answer, nothing comes at all; the server has done the request in any case.
    - ``truncate``: right headers, half of the body, then a clean close.
    - ``corrupt``: one byte of the body is flipped. ``short``: half of the body, with a Content-Length of that.
      These three apply to a GET that succeeds with a body; other requests pass unspoilt.

    ``faults``, ``only``, ``delay_seconds`` and ``most_at_once`` may be set while it runs.

    What it mends is the status of parts: rclone answers a range with 200 and a Content-Range, which ``object_store``
    refuses; that becomes 206.

    Attributes
    ----------
    only
        Faults happen only to requests for which this is true of the path with its query.
    delay_seconds
        Added to each request.
    most_at_once
        With more requests than this in flight, the newest is answered 503 SlowDown.
    counts
        How often each fault was done, ``most_at_once`` for those above, and ``requests`` for all.
    log
        Method, path with query, and status or fault, in the order of the answers.
    in_flight_peak
        The most requests that were in flight at a time, refused ones too.
    """

    def __init__(
        self,
        upstream_url: str,
        faults: Mapping[str, float] | None = None,
        seed: int = 0,
        *,
        only: Callable[[str], bool] | None = None,
        delay_seconds: float = 0.0,
        most_at_once: int | None = None,
    ) -> None:
        self.upstream = urlsplit(upstream_url)
        self.faults = faults or {}
        self.only = only
        self.delay_seconds = delay_seconds
        self.most_at_once = most_at_once
        self.counts: Counter[str] = Counter()
        self.log: list[tuple[str, str, int | str]] = []
        self.in_flight_peak = 0
        self._in_flight = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._upstreams: set[http.client.HTTPConnection] = set()
        self._server = HttpServer(type("ProxyHandler", (_ProxyHandler,), {"proxy": self}))

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return self._server.url

    @property
    def faults(self) -> Mapping[str, float]:
        """The probability of each fault."""
        return self._faults

    @faults.setter
    def faults(self, faults: Mapping[str, float]) -> None:
        unknown = set(faults) - FAULTS
        if unknown or sum(faults.values()) > 1 + 1e-9:
            raise ValueError(f"faults {dict(faults)}: of {sorted(FAULTS)}, with probabilities that add to 1 at most")
        self._faults = dict(faults)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everyone, stalled clients too. May be called again."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._lock:
            for upstream in self._upstreams:
                if upstream.sock is not None:
                    hang_up(upstream.sock)
        self._server.stop()

    def draw(self, target: str) -> str | None:
        """The fault of the next request, if it gets one."""
        if self.only is not None and not self.only(target):
            return None
        with self._lock:
            at = self._random.random()
        for fault, probability in self._faults.items():
            if at < probability:
                return fault
            at -= probability
        return None

    def flipped_place(self, nbytes: int) -> int:
        """Which byte of a body is flipped."""
        with self._lock:
            return self._random.randrange(nbytes)

    def note(self, method: str, target: str, outcome: int | str, fault: str | None) -> None:
        """Count and log one request; before its answer, so that whoever has that finds the entry."""
        with self._lock:
            self.log.append((method, target, outcome))
            if fault is not None:
                self.counts[fault] += 1

    @contextlib.contextmanager
    def request(self) -> Iterator[bool]:
        """A request is in flight; yields whether it is one too many."""
        with self._lock:
            self.counts["requests"] += 1
            self._in_flight += 1
            self.in_flight_peak = max(self.in_flight_peak, self._in_flight)
            too_many = self.most_at_once is not None and self._in_flight > self.most_at_once
        try:
            yield too_many
        finally:
            with self._lock:
                self._in_flight -= 1

    def delay(self) -> None:
        """Let the delay pass."""
        if self.delay_seconds:
            self._closing.wait(self.delay_seconds)

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection to the server, which closing the proxy interrupts."""
        upstream = http.client.HTTPConnection(
            self.upstream.hostname or "", self.upstream.port, timeout=UPSTREAM_SECONDS
        )
        with self._lock:
            self._upstreams.add(upstream)
        try:
            yield upstream
        finally:
            with self._lock:
                self._upstreams.discard(upstream)
            upstream.close()


class _ProxyHandler(Handler):
    """One connection of a client, with one to the server."""

    proxy: FaultProxy

    def handle(self) -> None:
        with self.proxy.connection() as self.upstream:
            super().handle()

    def forward(self) -> None:
        body = self.request_body()
        with self.proxy.request() as too_many:
            self.proxy.delay()
            fault = self.proxy.draw(self.path)
            if too_many:
                self._refuse("503", "most_at_once")
            elif fault in STATUSES:
                self._refuse(fault, fault)
            else:
                self._pass_on(self._ask(body), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = forward  # noqa: N815

    def _refuse(self, status: str, fault: str) -> None:
        self.proxy.note(self.command, self.path, fault, fault)
        code = STATUSES[status]
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
        self.answer(int(status), {"Content-Type": "application/xml"}, xml.encode())

    def _ask(self, body: bytes) -> _Answer:
        try:
            return self._ask_once(body)
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server may hang up on a connection that was idle, or have none left.
            self.upstream.close()
        try:
            return self._ask_once(body)
        except (http.client.HTTPException, OSError) as error:
            self.upstream.close()
            return _Answer(502, "Bad Gateway", [], f"{type(error).__name__}: {error}".encode(), chunked=False)

    def _ask_once(self, body: bytes) -> _Answer:
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.upstream.putheader(name, value)
        if chunked:
            self.upstream.putheader("Transfer-Encoding", "chunked")
        self.upstream.endheaders([body] if chunked else body, encode_chunked=chunked)
        with self.upstream.getresponse() as response:
            headers = [item for item in response.getheaders() if item[0].lower() not in _HOP_BY_HOP]
            data = response.read()
            answer = _Answer(response.status, response.reason, headers, data, bool(response.chunked))
        if answer.status == 200 and any(name.lower() == "content-range" for name, _ in headers):
            answer.status, answer.reason = 206, "Partial Content"
        return answer

    def _pass_on(self, answer: _Answer, fault: str | None) -> None:
        body_fault_fits = self.command == "GET" and answer.status in (200, 206) and len(answer.body) >= 2
        if fault is None or (fault in BODY_FAULTS and not body_fault_fits):
            self.proxy.note(self.command, self.path, answer.status, None)
            self._send(answer, answer.body)
            return
        self.proxy.note(self.command, self.path, fault, fault)
        getattr(self, f"_{fault}")(answer)

    def _reset(self, answer: _Answer) -> None:
        self._send_half(answer)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def _stall(self, answer: _Answer) -> None:
        self._send_half(answer)
        while self.connection.recv(1 << 16):
            pass

    def _truncate(self, answer: _Answer) -> None:
        self._send_half(answer)

    def _corrupt(self, answer: _Answer) -> None:
        body = bytearray(answer.body)
        body[self.proxy.flipped_place(len(body))] ^= 0xFF
        self._send(answer, bytes(body))

    def _short(self, answer: _Answer) -> None:
        half = answer.body[: len(answer.body) // 2]
        length = ("Content-Length", str(len(half)))
        answer.headers = [
            length if name.lower() == "content-length" else (name, value) for name, value in answer.headers
        ]
        self._send(answer, half)

    def _send_half(self, answer: _Answer) -> None:
        """Half of a body, after which the connection can't go on; of an answer without body, nothing."""
        self.close_connection = True
        if answer.body:
            half = answer.body[: len(answer.body) // 2]
            self.wfile.write(
                self._head(answer) + (b"%x\r\n%s\r\n" % (len(half), half) if answer.chunked and half else half)
            )

    def _send(self, answer: _Answer, body: bytes) -> None:
        if answer.chunked:
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        self.wfile.write(self._head(answer) + body)

    def _head(self, answer: _Answer) -> bytes:
        headers = list(answer.headers)
        if answer.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif answer.status not in (204, 304) and not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer.body))))
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
