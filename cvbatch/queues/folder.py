"""``fq://``: a folder that several machines have mounted, in the layout of python-task-queue.

``queue/<time>--<id>.json`` is a message that can be leased from that time on (whole seconds since 1970, 0 for at
once), and ``movement/<id>`` lists the names it had. ``insertions`` holds how many messages were sent, and
``completions`` a byte for each that is done. ``incoming`` is ours: messages that are not whole yet, where no program
looks for messages.

A message is leased by renaming it to the time at which the lease ends: of all who try, one succeeds. Whoever holds a
message knows it by that name, and no name is given twice (see :meth:`_Files.move`); so the calls of somebody who held
it for too long find nothing, whoever has it by now.

The clocks of the machines should agree, within much less than a lease. Where they don't, a machine whose clock is
ahead takes messages that are still held: work is done twice then, but none is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import math
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from cvbatch.errors import QueueError, QueueUnavailableError
from cvbatch.queues.shared import QueueCounts
from cvbatch.storage.local import NOT_THERE, REFUSED

# python-task-queue splits a name at "--", and so the id must not have it.
NAME = re.compile(r"([0-9]+)--([^-]+(?:-[^-]+)*)\.json")
AT_ONCE = 0
# fsync waits for the disk, which serves many as quickly as one.
WRITERS = 16
SENT_TOGETHER = 1000
# A scan stops at so many messages that can be leased. From among them each worker takes any; when so many in a row
# were taken by others, it scans again.
SCANNED = 1000
MISSES = 16
# Pauses between scans that found nothing, and what they are at least, in times of what the scan took.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
PAUSE_PER_SCAN = 5.0


def _end_of(now: float, seconds: float) -> int:
    """The whole second in which a lease ends: not sooner than asked for, and not in the one that has begun."""
    return max(math.ceil(now + seconds), math.floor(now) + 1)


def _is_due(name: str, now: float) -> bool:
    """Whether a file is a message that can be leased now."""
    match = NAME.fullmatch(name)
    return match is not None and int(match[1]) <= now


def _with_id(body: str, ident: str) -> str:
    """A body as python-task-queue stores it, with its id in it. What is not JSON is not for that program."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return json.dumps(document | {"id": ident}) if isinstance(document, dict) else body


@dataclass(frozen=True)
class _Files:
    """The files of a queue. Calls raise OSError; inside ``failing`` it becomes an error of ours."""

    root: str
    # Locks of files are between processes, not between threads.
    counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"fq://{self.root}"

    def path(self, *parts: str) -> str:
        return "/".join([self.root, *parts])

    @contextlib.contextmanager
    def failing(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(action, error) from error

    def _error(self, action: str, error: OSError) -> QueueError:
        if error.errno in NOT_THERE:
            return QueueUnavailableError(
                f"{self.url}: there is no queue in this folder. `cvbatch queue create {self.url}` makes one"
            )
        kind = QueueUnavailableError if error.errno in REFUSED else QueueError
        return kind(f"cannot {action} {self.url}: {error.strerror or error}")

    def names(self) -> Generator[str, None, None]:
        """The files in which messages are."""
        with os.scandir(self.path("queue")) as entries:
            for entry in entries:
                yield entry.name

    def add(self, due: int, body: str) -> None:
        """Write a message, which appears when it is whole and on the disk."""
        ident = str(uuid.uuid4())
        name, partial_path = f"{due}--{ident}.json", self.path("incoming", ident)
        # First, because python-task-queue can't remove a message without.
        _write(self.path("movement", ident), f"{name}\n")
        _write(partial_path, _with_id(body, ident), durable=True)
        os.rename(partial_path, self.path("queue", name))

    def move(self, name: str, due: int) -> str | None:
        """Rename a message, to a name that it never had; None where the old one is gone.

        Nobody else is given that name, though an operator may end leases so that two begin within one second: names
        are appended to a list before they are used, and only who appended one first may use it. The others take the
        next second. (Appending is atomic but for network file systems. There, two who held a message one after the
        other could get one name if both did it at the same moment: one of them would then work in vain.)
        """
        match = NAME.fullmatch(name)
        assert match is not None
        handle = self._movements(name, match[2])
        if handle is None:
            return None
        try:
            moved = f"{due}--{match[2]}.json"
            while _append(handle, moved) > 1 and due != AT_ONCE:  # Under the latter name nobody holds a message.
                due += 1
                moved = f"{due}--{match[2]}.json"
        finally:
            os.close(handle)
        try:
            os.rename(self.path("queue", name), self.path("queue", moved))
        except FileNotFoundError:
            return None
        return moved

    def _movements(self, name: str, ident: str) -> int | None:
        """The open list of a message's names. None where there is neither that nor the message: it was removed."""
        path, flags = self.path("movement", ident), os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            # The list of a message that lives may have been lost with the power.
            return os.open(path, flags | os.O_CREAT, 0o666) if os.path.exists(self.path("queue", name)) else None

    def remove(self, name: str) -> bool:
        """Remove a message that is done, if it has this name, and count it."""
        if not _unlink(self.path("queue", name)):
            return False
        # It is done now, whatever comes of the rest.
        with contextlib.suppress(OSError):
            match = NAME.fullmatch(name)
            assert match is not None
            _unlink(self.path("movement", match[2]))
            _write(self.path("completions"), "\0", os.O_APPEND)
        return True

    def put_aside(self, name: str) -> bool:
        """Move a message into the folder ``unreadable``, if it has this name."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.path("unreadable"))
        try:
            os.rename(self.path("queue", name), self.path("unreadable", name.partition("--")[2]))
        except FileNotFoundError:
            return False
        _unlink(self.path("movement", name.partition("--")[2].removesuffix(".json")))
        return True

    def count_insertions(self, added: int) -> None:
        """Add to the number of messages that were sent. It is only shown, so that nothing fails without it."""
        with self.counting, contextlib.suppress(OSError, ValueError):
            handle = os.open(self.path("insertions"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                # Some network file systems have no locks; the number may then be too small.
                with contextlib.suppress(OSError):
                    fcntl.lockf(handle, fcntl.LOCK_EX)
                before = int(os.pread(handle, 32, 0) or 0)
                os.pwrite(handle, b"%d" % (before + added), 0)
            finally:
                os.close(handle)

    def make(self) -> None:
        """Make the folders that are missing."""
        for folder in ("queue", "movement", "incoming"):
            os.makedirs(self.path(folder), exist_ok=True)

    def sync(self) -> None:
        """Wait until the names of messages are on the disk, too."""
        handle = os.open(self.path("queue"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Remove everything and begin to count anew."""
        for folder in ("queue", "movement", "incoming"):
            for name in os.listdir(self.path(folder)) if os.path.isdir(self.path(folder)) else []:
                _unlink(self.path(folder, name))
        _write(self.path("completions"), "", os.O_TRUNC)
        _write(self.path("insertions"), "0", os.O_TRUNC)


def _write(path: str, text: str, flags: int = os.O_EXCL, durable: bool = False) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o666)
    with open(handle, "wb", buffering=0) as file:
        left = memoryview(text.encode())
        while left:
            left = left[file.write(left) :]
        if durable:
            os.fsync(handle)


def _append(handle: int, name: str) -> int:
    """Append a name to the list of a message; how often it is there then."""
    os.write(handle, f"{name}\n".encode())
    return os.pread(handle, os.fstat(handle).st_size, 0).split().count(name.encode())


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


class FolderHeld:
    """A message out of a :class:`FolderQueue`.

    A lease that has ended, but whose message nobody else took, goes on when it is extended, and can be acknowledged.
    """

    def __init__(self, files: _Files, name: str, body: str, now: Callable[[], float]) -> None:
        self.body = body
        self._files = files
        self._now = now
        # The name under which the message is ours. Another thread may extend the lease while this one ends it.
        self._name: str | None = name
        self._lock = threading.Lock()

    def extend(self, lease_seconds: float) -> bool:
        with self._lock:
            self._move("extend a lease of", _end_of(self._now(), lease_seconds))
            return self._name is not None

    def ack(self) -> bool:
        with self._lock:
            if self._name is None:
                return False
            with self._files.failing("remove a message from"):
                was_ours = self._files.remove(self._name)
            self._name = None
            return was_ours

    def bury(self) -> bool:
        with self._lock:
            if self._name is None:
                return False
            with self._files.failing("put a message aside in"):
                was_ours = self._files.put_aside(self._name)
            self._name = None
            return was_ours

    def release(self, delay_seconds: float = 0) -> bool:
        # At once is the same moment for all clocks.
        due = _end_of(self._now(), delay_seconds) if delay_seconds > 0 else AT_ONCE
        with self._lock:
            self._move("hand a message back to", due)
            was_ours, self._name = self._name is not None, None
            return was_ours

    def _move(self, action: str, due: int) -> None:
        if self._name is not None:
            with self._files.failing(action):
                self._name = self._files.move(self._name, due)


class FolderQueue:
    """The messages in a folder. ``now`` is the clock that all who use it share, in seconds since 1970.

    Leases and delays end with a whole second, up to one second later than asked for.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        self._files = _Files(os.path.abspath(os.path.expanduser(path)))
        self.url = self._files.url
        self._now = now
        # What the last scan found, and nobody of this process has tried yet.
        self._names: list[str] = []
        self._lock = threading.Lock()

    def send(self, bodies: Iterable[str], delay_seconds: float = 0) -> None:
        due = _end_of(self._now(), delay_seconds) if delay_seconds > 0 else AT_ONCE
        waiting = iter(bodies)
        with ThreadPoolExecutor(WRITERS) as pool:
            while some := list(itertools.islice(waiting, SENT_TOGETHER)):
                with self._files.failing("send to"):
                    self._send(pool, due, some)

    def _send(self, pool: ThreadPoolExecutor, due: int, bodies: list[str]) -> None:
        # A queue that python-task-queue made doesn't have this folder. One that isn't there is not made.
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._files.path("incoming"))
        for _ in pool.map(partial(self._files.add, due), bodies):
            pass
        self._files.sync()
        self._files.count_insertions(len(bodies))

    def receive(self, lease_seconds: float, wait_seconds: float = 0) -> FolderHeld | None:
        deadline, pause = time.monotonic() + wait_seconds, SHORTEST_PAUSE
        while True:
            begin = time.monotonic()
            with self._files.failing("receive from"):
                held = self._take(lease_seconds)
            end = time.monotonic()
            if held is not None or end >= deadline:
                return held
            # A random part, so that workers that began together don't scan together.
            longest = max(pause, PAUSE_PER_SCAN * (end - begin))
            time.sleep(min(deadline - end, random.uniform(0.5, 1.0) * longest))  # noqa: S311 - nothing secret
            pause = min(2 * pause, LONGEST_PAUSE)

    def _take(self, lease_seconds: float) -> FolderHeld | None:
        """A message, if any can be had now. Scans once at most: what is found may be as old as a cache of NFS."""
        for name in itertools.chain(itertools.islice(self._remembered(), MISSES), self._scanned()):
            ours = self._files.move(name, _end_of(self._now(), lease_seconds))
            if ours is not None:
                with contextlib.suppress(FileNotFoundError):  # It was released or removed since.
                    return FolderHeld(self._files, ours, self._read(ours), self._now)
        return None

    def _read(self, name: str) -> str:
        with open(self._files.path("queue", name), encoding="utf-8", errors="replace", newline="") as file:
            return file.read()

    def _remembered(self) -> Iterator[str]:
        """Names of messages that could be leased when they were seen, in random order, each for one thread only."""
        while True:
            with self._lock:
                if not self._names:
                    return
                place = random.randrange(len(self._names))  # noqa: S311 - nothing secret
                self._names[place], self._names[-1] = self._names[-1], self._names[place]
                name = self._names.pop()
            yield name

    def _scanned(self) -> Iterator[str]:
        """The same, seen now."""
        with self._lock:
            self._names = self._scan()
        yield from self._remembered()

    def _scan(self) -> list[str]:
        now = self._now()
        with contextlib.closing(self._files.names()) as names:
            return list(itertools.islice((name for name in names if _is_due(name, now)), SCANNED))

    def counts(self) -> QueueCounts:
        """As python-task-queue counts: its layout doesn't tell messages that are delayed from those that are held."""
        now = self._now()
        with self._files.failing("look into"):
            names = [name for name in self._files.names() if NAME.fullmatch(name)]
        waiting = sum(_is_due(name, now) for name in names)
        return QueueCounts(waiting, len(names) - waiting)

    def create(self, lease_seconds: float) -> None:
        """Make the folders. ``lease_seconds`` is for services that keep it; here each receive says it."""
        with self._files.failing("create"):
            self._files.make()

    def release_all(self) -> None:
        """Make all messages available, the delayed ones, too."""
        now = self._now()
        with self._files.failing("release the messages of"):
            for name in list(self._files.names()):
                if NAME.fullmatch(name) and not _is_due(name, now):
                    self._files.move(name, AT_ONCE)

    def purge(self) -> None:
        with self._files.failing("remove the messages of"):
            self._files.clear()

    def close(self) -> None:
        """Nothing is kept open."""
