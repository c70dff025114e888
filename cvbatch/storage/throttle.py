"""How many requests to one store are under way at a time: as many as help, fewer where it pushes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FIRST, MOST = 16.0, 128.0
# One more step up is kept if it brought so much more.
WORTHWHILE = 1.05
STEP_UP, STEP_DOWN = 1.4, 0.6
# A measurement is of at least so many rounds, and after a step that did not help the next is so many later.
ROUNDS, PAUSE = 3, 8
# What pushes back says so to everything that is under way at once: that counts as one time.
PUSH_BACK_SECONDS = 0.5


@dataclass
class _Window:
    """A measurement: what ended since, and whether anything had to wait for its turn."""

    since: float
    ended: int = 0
    waited: bool = False


@dataclass
class Throttle:
    """Turns for the threads of this process. The limit climbs while the rate of answers does, as a hill is climbed
    in fog; a store that says "slow down" cuts it at once."""

    clock: Callable[[], float] = time.monotonic
    limit: float = FIRST
    running: int = 0
    _last_rate: float = 0.0
    _last_limit: float = FIRST
    _pause: int = 0
    _pushed_back: float = float("-inf")
    _window: _Window = field(init=False, repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def __post_init__(self) -> None:
        self._window = _Window(self.clock())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it until the end of the block."""
        with self._changed:
            while self.running >= max(1, int(self.limit)):
                self._window.waited = True
                self._changed.wait()
            self.running += 1
        try:
            yield
        finally:
            with self._changed:
                self.running -= 1
                self._measure()
                self._changed.notify()

    def push_back(self) -> None:
        """The store asks for fewer requests."""
        with self._changed:
            now = self.clock()
            if now - self._pushed_back >= PUSH_BACK_SECONDS:
                self._pushed_back = now
                self.limit = max(1.0, self.limit * STEP_DOWN)
                self._begin(pause=PAUSE)

    def _begin(self, pause: int = 0) -> None:
        self._window = _Window(self.clock())
        self._pause = max(self._pause, pause)

    def _measure(self) -> None:
        """Count an answer; at the end of a measurement go on up, or back."""
        window = self._window
        window.ended += 1
        if window.ended < ROUNDS * self.limit:
            return
        rate = window.ended / max(self.clock() - window.since, 1e-9)
        if not window.waited:  # Nobody wants more than there is.
            self._begin()
            return
        if self._pause > 0:
            self._pause -= 1
            self._last_rate, self._last_limit = rate, self.limit
        elif rate >= WORTHWHILE * self._last_rate or self.limit <= self._last_limit:
            self._last_rate, self._last_limit = rate, self.limit
            self.limit = min(MOST, self.limit * STEP_UP)
        else:
            self.limit, self._pause = self._last_limit, PAUSE
        self._begin()
        self._changed.notify_all()
