"""What a worker has done, in the text format of Prometheus.

Format: prometheus.io, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cvbatch.counts import Counts
from cvbatch.events import BatchDone, BatchLeased, Event, LeaseLost, MessageRefused, TaskDone, TaskFailed, WorkerDied

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Metrics:
    """Adds up the events of a worker. Threads may ask while it listens."""

    counts: Counts = field(default_factory=Counts)
    tasks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("done", "retried", "given_up"), 0))
    troubles: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("worker_died", "lease_lost", "message_refused"), 0)
    )
    _leases: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        with self._lock:
            if isinstance(event, TaskDone):
                self.tasks["done"] += 1
                self.counts += event.counts
            elif isinstance(event, TaskFailed):
                self.tasks["given_up" if event.buried else "retried"] += 1
            elif isinstance(event, BatchLeased):
                self._leases[event.batch] = time.monotonic()
            elif isinstance(event, BatchDone | LeaseLost):
                self._leases.pop(event.batch, None)
            self.troubles["worker_died"] += isinstance(event, WorkerDied)
            self.troubles["lease_lost"] += isinstance(event, LeaseLost)
            self.troubles["message_refused"] += isinstance(event, MessageRefused)

    def text(self) -> str:
        """All of it, as it is now."""
        with self._lock:
            oldest = max((time.monotonic() - since for since in self._leases.values()), default=0.0)
            counts = self.counts
            tables: list[tuple[str, str, str, dict[str, float]]] = [
                ("cvbatch_tasks_total", "counter", "outcome", {**self.tasks}),
                ("cvbatch_troubles_total", "counter", "kind", {**self.troubles}),
                ("cvbatch_bytes_total", "counter", "direction", _bytes(counts)),
                ("cvbatch_stage_seconds_total", "counter", "stage", {**counts.stages}),
                ("cvbatch_leases", "gauge", "", {"": len(self._leases)}),
                ("cvbatch_oldest_lease_seconds", "gauge", "", {"": oldest}),
            ]
        return "".join(line for table in tables for line in _lines(*table))


def _bytes(counts: Counts) -> dict[str, float]:
    return {"read": counts.bytes_read, "written": counts.bytes_written}


def _lines(name: str, kind: str, label: str, values: dict[str, float]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}\n"
    for key, value in values.items():
        labels = f'{{{label}="{key}"}}' if label else ""
        yield f"{name}{labels} {value:g}\n" if isinstance(value, float) else f"{name}{labels} {value}\n"


@contextmanager
def serve_metrics(metrics: Metrics, port: int, host: str) -> Iterator[int]:
    """Answer ``GET /metrics`` for as long as the block lasts; the port, which 0 leaves to the machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.text().encode() if self.path == "/metrics" else b""
            self.send_response(HTTPStatus.OK if body else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing of each request."""

    with ThreadingHTTPServer((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
