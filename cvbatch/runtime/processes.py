"""Worker processes, each started as a program of its own.

No fork of a threaded program and no second import of the caller's ``__main__``: it works the same in a script
without a guard, a notebook, a test and a thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import IO

from cvbatch.errors import WorkerDiedError
from cvbatch.memory import sweep_segments
from cvbatch.metadata import Task
from cvbatch.metadata.job import job_document
from cvbatch.pipeline import notes_in
from cvbatch.planner import Plan
from cvbatch.runtime.workers import Death, Outcome, TaskError, outcome_from

PATIENCE_SECONDS = 5.0
MOST_STILLBORN = 5


def oom_kills() -> int:
    """How often the kernel of this machine has killed for lack of memory; 0 where it doesn't say."""
    try:
        with open("/proc/vmstat") as file:
            lines = dict(line.split() for line in file)
    except OSError:
        return 0
    return int(lines.get("oom_kill", 0))


def start_process(arguments: list[str], inherited: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """This interpreter with a module of this package; modules are found where the caller finds them."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # -P: without the working directory, where a user's numpy.py may lie.
    command = [sys.executable, "-P", "-m", *arguments]
    # What a library prints must not get between the caller's results on standard output.
    return subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=2, env=environment)


@dataclass
class _Process:
    """One worker process, and the tasks that it was given and hasn't answered."""

    process: subprocess.Popen[bytes]
    connection: Connection
    notes: IO[bytes]
    oom_kills: int
    tasks: list[Task] = field(default_factory=list)
    alone: bool = False
    ready: bool = False
    peak_memory_bytes: int = 0

    @classmethod
    def start(cls, plan: Plan) -> _Process:
        mine, its = socket.socketpair()
        notes = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        with its:
            inherited = (its.fileno(), notes.fileno())
            process = start_process(["cvbatch.runtime.worker", *map(str, inherited)], inherited)
        worker = cls(process, Connection(mine.detach()), notes, oom_kills())
        worker.send(job_document(plan.job, plan.spec))
        return worker

    def send(self, message: dict[str, object]) -> None:
        # If it has died, that is noticed where it is listened to.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(json.dumps(message).encode())

    def close(self) -> None:
        self.connection.close()
        self.notes.close()

    def cause_of_death(self) -> str:
        """What ended the process, in words."""
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code >= 0:
            return f"worker process {self.process.pid} ended with status {code}"
        name = signal.Signals(-code).name
        if noted := notes_in(self.notes.fileno()):
            name += f" while it decoded {' and '.join(noted)}, which is damaged or takes too much memory"
        if -code == signal.SIGKILL and oom_kills() > self.oom_kills:
            name += ", by the kernel because memory ran out: lower workers.processes"
        return f"worker process {self.process.pid} was killed by {name}"


class ProcessWorkers:
    """``processes`` worker processes. One that dies is replaced, and what it had comes back as errors."""

    def __init__(self, plan: Plan, processes: int, tasks_at_once: int) -> None:
        self._plan = plan
        self._tasks_at_once = tasks_at_once
        self._peaks_of_the_dead = 0
        self._stillborn = 0
        self._processes = [_Process.start(plan) for _ in range(processes)]

    def _free(self, alone: bool) -> _Process | None:
        """The process with the fewest tasks that could take one more."""
        most = 0 if alone else self._tasks_at_once - 1
        able = [each for each in self._processes if len(each.tasks) <= most and not (each.tasks and each.alone)]
        return min(able, key=lambda each: len(each.tasks), default=None)

    def can_take(self, alone: bool) -> bool:
        return self._free(alone) is not None

    def give(self, task: Task, alone: bool) -> None:
        worker = self._free(alone)
        assert worker is not None
        worker.tasks.append(task)
        worker.alone = alone
        worker.send({"task": [task.pass_number, task.index]})

    def poll(self, timeout_seconds: float) -> Sequence[Outcome | Death]:
        happened: list[Outcome | Death] = []
        by_connection = {each.connection: each for each in self._processes}
        for ready in wait(list(by_connection), timeout_seconds):
            worker = by_connection[ready]  # type: ignore[index]
            try:
                message = json.loads(worker.connection.recv_bytes())
            except (EOFError, OSError):
                happened += self._bury(worker)
                continue
            if message.get("ready"):
                worker.ready, self._stillborn = True, 0
                continue
            outcome = outcome_from(message, self._plan.job.id)
            worker.peak_memory_bytes = message["peak_memory_bytes"]
            worker.tasks.remove(outcome.task)
            happened.append(outcome)
        return happened

    def _bury(self, worker: _Process) -> list[Outcome | Death]:
        """Put another process in the place of a dead one; its tasks are suspects, each of them.

        Raises :class:`WorkerDiedError` where one after the other dies before it has even started.
        """
        cause = worker.cause_of_death()
        self._stillborn += not worker.ready
        if self._stillborn > MOST_STILLBORN:
            raise WorkerDiedError(f"{self._stillborn} workers in a row died before they could start: {cause}")
        worker.close()
        sweep_segments()
        self._peaks_of_the_dead += worker.peak_memory_bytes
        self._processes[self._processes.index(worker)] = _Process.start(self._plan)
        error = TaskError(cause, retryable=True, suspect=len(worker.tasks) > 1)
        lost = [Outcome(task, None, error, 0.0) for task in worker.tasks]
        return [Death(worker.process.pid, cause), *lost]

    @property
    def peak_memory_bytes(self) -> int:
        return self._peaks_of_the_dead + sum(each.peak_memory_bytes for each in self._processes)

    def close(self, kill: bool) -> None:
        for worker in self._processes:
            if kill:
                worker.process.kill()
            else:
                worker.send({"stop": True})
        deadline = time.monotonic() + PATIENCE_SECONDS
        for worker in self._processes:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()
        if kill:
            sweep_segments()
