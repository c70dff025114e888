"""A process that works for this one, and the socket between them.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, Any

from cvbatch.process.environment import KEEP_PAGES, ONE_BLAS_THREAD
from cvbatch.process.recorder import notes_in

PATIENCE_SECONDS = 5.0


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
    modules = os.pathsep.join(path for path in sys.path if path)
    environment = {**KEEP_PAGES, **ONE_BLAS_THREAD, **os.environ, "PYTHONPATH": modules}
    # -P: without the working directory, where a user's numpy.py may lie.
    command = [sys.executable, "-P", "-m", *arguments]
    # What a library prints must not get between the caller's results on standard output.
    return subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=2, env=environment)


# Ctrl-C, and the end of a Slurm job, go to all processes at once.
POLITE_ENDS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _ends_held() -> Iterator[None]:
    """What is started in the block hears of no polite end before it says what it does with one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, POLITE_ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_ends(*numbers: signal.Signals) -> None:
    """For a child: these ends are for the one that started it to deal with, the others are not."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, POLITE_ENDS)


@dataclass(eq=False)
class Child:
    """A process started from a module of this package, which gets ``SOCKET NOTES`` as its arguments.

    Messages are JSON objects. What it gives to fragile decoders it notes in a file, for when it dies of it.
    """

    process: subprocess.Popen[bytes]
    connection: Connection
    notes: IO[bytes]
    oom_kills: int = field(default_factory=oom_kills)

    @classmethod
    def start(cls, module: str) -> Child:
        mine, its = socket.socketpair()
        notes = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        with its, _ends_held():
            inherited = (its.fileno(), notes.fileno())
            process = start_process([module, *map(str, inherited)], inherited)
        return cls(process, Connection(mine.detach()), notes)

    def send(self, message: Mapping[str, object]) -> None:
        """Tell it something. If it has died, that is noticed where it is listened to."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> dict[str, Any] | None:
        """What it says next, None if it has ended."""
        try:
            message: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        return message

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
        self.notes.close()

    def end(self, seconds: float) -> None:
        """Wait for its end that long, and then end it."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.close()

    def cause_of_death(self) -> tuple[str, bool]:
        """What ended the process, in words, and whether it was the kernel, because memory ran out."""
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code >= 0:
            return f"worker process {self.process.pid} ended with status {code}", False
        name = signal.Signals(-code).name
        if noted := notes_in(self.notes.fileno()):
            name += f" while it decoded {' and '.join(noted)}, which is damaged or takes too much memory"
        starved = -code == signal.SIGKILL and oom_kills() > self.oom_kills
        if starved:
            name += ", by the kernel because memory ran out: use fewer processes"
        return f"worker process {self.process.pid} was killed by {name}", starved
