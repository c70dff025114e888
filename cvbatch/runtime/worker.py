"""A worker process: ``python -m cvbatch.runtime.worker SOCKET NOTES``.

It is told tasks over a socket that it inherits, begins to fetch each as soon as it is told, finishes them in
order, and says what became of them. In a file that it inherits too it notes what it gives to fragile decoders, for
when it dies of it. It leases nothing and writes no receipts.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from cvbatch.memory import Arena
from cvbatch.metadata import Task
from cvbatch.metadata.job import read_job_document
from cvbatch.pipeline import Pools, Recorder, TaskRun
from cvbatch.planner import Plan
from cvbatch.runtime.tasks import TaskRunner, run_task, try_begin


class _Inbox:
    """Messages from the supervisor, read by a thread of their own so that its death is noticed at once."""

    def __init__(self, connection: Connection, arena: Arena) -> None:
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._connection, self._arena = connection, arena
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                self._messages.put(json.loads(self._connection.recv_bytes()))
        except (EOFError, OSError):
            # Nobody is left to work for. What is half done is done again by whoever resumes.
            self._arena.close()
            os._exit(0)

    def next(self, wait: bool) -> dict[str, Any] | None:
        try:
            return self._messages.get(block=wait)
        except queue.Empty:
            return None


def serve(connection: Connection, plan: Plan, arena: Arena, recorder: Recorder) -> None:
    """Work until the supervisor hangs up or says that there is no more."""
    inbox = _Inbox(connection, arena)
    begun: deque[tuple[Task, TaskRun | Exception, float]] = deque()
    with Pools.of(plan.spec.threads) as pools:
        runner = TaskRunner(plan, pools, arena, recorder)
        while True:
            message = inbox.next(wait=not begun)
            if message is not None and message.get("stop"):
                return
            if message is not None:
                task, start = Task(plan.job.id, *message["task"]), time.perf_counter()
                begun.append((task, try_begin(runner, task), time.perf_counter() - start))
                continue
            task, run, seconds = begun.popleft()
            connection.send_bytes(json.dumps(run_task(run, task, seconds)).encode())


def main() -> None:
    """Serve the supervisor at the other end of the socket; both handles are inherited, and their numbers given."""
    # A terminal's Ctrl-C goes to all its processes; when to stop is for the supervisor to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    plan = Plan(*read_job_document(json.loads(connection.recv_bytes())))
    connection.send_bytes(json.dumps({"ready": True}).encode())
    with Arena(plan.job.id, plan.spec.memory) as arena:
        serve(connection, plan, arena, Recorder(int(sys.argv[2])))


if __name__ == "__main__":
    main()
