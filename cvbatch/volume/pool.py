"""Worker processes that are kept between calls, and shared by all volumes of this process."""

from __future__ import annotations

import atexit
import builtins
import os
import threading
from functools import lru_cache
from multiprocessing.connection import wait
from typing import Any

from cvbatch import errors
from cvbatch.errors import CvbatchError, WorkerDiedError
from cvbatch.memory import sweep_segments
from cvbatch.process.child import PATIENCE_SECONDS, Child
from cvbatch.volume.handout import Handout, Tick, do_all, no_tick
from cvbatch.volume.work import Work, work_document

# Small enough that processes end together, large enough that messages are few.
PARTS_A_PROCESS = 16


class _Busy:
    """One call's use of a pool: which process does which numbers."""

    def __init__(self, children: list[Child], handout: Handout, tick: Tick) -> None:
        self._handout, self._tick = handout, tick
        self._numbers: dict[Child, list[range]] = {child: [] for child in children}
        self.dead: list[Child] = []

    @property
    def running(self) -> list[Child]:
        return [child for child, numbers in self._numbers.items() if numbers]

    def run(self) -> None:
        """Hand out all numbers and hear what became of them."""
        for _ in range(2):  # The next ones are there when a process has done the first.
            for child in self._numbers:
                self._give(child)
        while running := self.running:
            by_connection = {child.connection: child for child in running}
            for connection in wait(list(by_connection)):
                self._hear(by_connection[connection])  # type: ignore[index]

    def _give(self, child: Child) -> None:
        numbers = self._handout.take()
        if numbers is not None:
            self._numbers[child].append(numbers)
            child.send({"do": [numbers.start, numbers.stop]})

    def _hear(self, child: Child) -> None:
        message = child.receive()
        if message is None:
            error = WorkerDiedError(f"{child.cause_of_death()[0]}. The next call has a new one in its place")
            self._handout.fail(self._numbers.pop(child)[0].start, error)
            self.dead.append(child)
            return
        numbers = self._numbers[child].pop(0)
        if "error" in message:
            self._handout.fail(message["at"], _as_error(message["error"]))
        else:
            self._tick(len(numbers))
        self._give(child)


class Pool:
    """Processes that do the parts of one call after the other."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._environments: dict[Child, dict[str, str]] = {}
        self._lock = threading.Lock()

    def run(self, work: Work, processes: int, tick: Tick = no_tick) -> None:
        """Do all parts of ``work`` in that many processes.

        Raises what the part with the lowest number raised, and :class:`WorkerDiedError` for a process that
        ended. Calls from several threads come one after the other.
        """
        with self._lock:
            self._fill(processes)
            children = self._children[:processes]
            document = work_document(work)
            for child in children:
                self._tell_environment(child)
                child.send(document)
            handout = Handout(len(work), max(1, len(work) // (processes * PARTS_A_PROCESS)))
            busy = _Busy(children, handout, tick)
            try:
                busy.run()
                for child in children:
                    child.send({"forget": True})
            finally:
                # Left in the middle, by Ctrl-C: whoever still runs would write into memory that is given back.
                for child in [*busy.dead, *busy.running]:
                    self._remove(child)
            handout.raise_failure()

    def _tell_environment(self, child: Child) -> None:
        """Where credentials are found may have been said since a process began."""
        environment = dict(os.environ)
        if self._environments.get(child) != environment:
            self._environments[child] = environment
            child.send({"environment": environment})

    def _fill(self, processes: int) -> None:
        """Put new processes in the place of those that ended since the last call, and add those that are lacking."""
        for child in [child for child in self._children if child.process.poll() is not None]:
            self._remove(child)
        while len(self._children) < processes:
            self._children.append(Child.start("cvbatch.volume.child"))

    def _remove(self, child: Child) -> None:
        self._children.remove(child)
        self._environments.pop(child, None)
        child.process.kill()
        child.end(PATIENCE_SECONDS)
        sweep_segments()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            for child in self._children:
                child.connection.close()
            for child in self._children:
                child.end(PATIENCE_SECONDS)
            self._children, self._environments = [], {}


# Two threads whose first calls meet get one pool.
_MAKING = threading.Lock()


def shared_pool() -> Pool:
    """The one pool of this process, made when it is first asked for."""
    with _MAKING:
        return _pool_of(os.getpid())


@lru_cache(maxsize=1)
def _pool_of(pid: int) -> Pool:
    """The pool of a process. One that was forked must not talk to the processes of its parent."""
    pool = Pool()
    atexit.register(lambda: pool.close() if os.getpid() == pid else None)
    return pool


def perform(work: Work, processes: int, tick: Tick = no_tick) -> None:
    """Do all of ``work``: in worker processes if there is more than one part and they can, else here."""
    processes = min(processes, len(work))
    try:
        if processes > 1 and work.shareable:
            shared_pool().run(work, processes, tick)
        else:
            do_all(work.do, len(work), work.threads, tick)
    finally:
        work.close()


def _as_error(error: dict[str, Any]) -> Exception:
    """The error of another process, of the same class if it is one of ours or of Python's."""
    kind = getattr(errors, error["type"], None) or getattr(builtins, error["type"], None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        made: Exception = kind(error["text"])
    else:
        made = CvbatchError(f"{error['type']}: {error['text']}")
    made.add_note(f"In a worker process:\n{error['traceback']}")
    return made
