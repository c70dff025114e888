"""How many requests to one store are under way at a time: as many as help, fewer where it pushes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FIRST, MOST = 16.0, 128.0
# A step up is kept where it brings so much more, a step down where it costs less than that.
WORTHWHILE = 1.05
STEP, LEAST_STEP, STEP_BACK = 1.4, 2.0, 0.6
# How many rounds of answers tell what a step does, and how many pass before the next if it did nothing. Fewer answers
# than LEAST are chance.
ROUNDS, PAUSE, LEAST = 4, 30, 60
# What pushes back says so to everything that is under way at once: that counts as one time.
PUSH_BACK_SECONDS = 0.5
# How much of a refusal an answer makes up for: stores refuse some requests for no reason of ours.
FORGIVEN = 0.03


@dataclass
class _Window:
    """A measurement: what ended since, and whether anything had to wait for its turn."""

    since: float
    rounds: int
    ended: int = 0
    waited: bool = False


@dataclass
class Throttle:
    """Turns for the threads of this process. The limit climbs while the rate of answers does, as a hill is climbed
    in fog, and comes down again where that costs nothing; a store that says "slow down" cuts it at once.

    A step from the limit that is known to be good is measured, and taken back if it did not help: then the next
    goes in the other direction. A thread that has a turn must not wait for another.
    """

    clock: Callable[[], float] = time.monotonic
    limit: float = FIRST
    running: int = 0
    _good: float = field(init=False)
    _good_rate: float = 0.0
    _upwards: bool = True
    _refused: float = 0.0
    _pushed_back: float = float("-inf")
    _window: _Window = field(init=False, repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def __post_init__(self) -> None:
        self._good = self.limit
        self._begin(ROUNDS)

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
        """The store asks for fewer requests. One in a hundred may."""
        with self._changed:
            self._refused += 1
            if self._refused < self.limit / FIRST:
                return
            now = self.clock()
            if now - self._pushed_back >= PUSH_BACK_SECONDS:
                self._pushed_back, self._refused = now, 0.0
                self.limit = max(1.0, self.limit * STEP_BACK)
            # Refusals are quick: what was counted with them among the answers tells nothing.
            self._good, self._upwards = self.limit, True
            self._begin(PAUSE)

    def _begin(self, rounds: int) -> None:
        self._window = _Window(self.clock(), rounds)

    def _measure(self) -> None:
        """Count an answer; at the end of a measurement take a step, or take the last one back."""
        window = self._window
        window.ended += 1
        self._refused = max(0.0, self._refused - FORGIVEN)
        if window.ended < max(window.rounds * self.limit, LEAST):
            return
        rate = window.ended / max(self.clock() - window.since, 1e-9)
        if not window.waited:  # Nobody wants more than there is.
            self._begin(window.rounds)
        elif self._is_good(rate):
            self._good, self._good_rate = self.limit, rate
            self._step()
            self._begin(ROUNDS)
        else:
            self.limit, self._upwards = self._good, not self._upwards
            self._begin(PAUSE)
        self._changed.notify_all()

    def _is_good(self, rate: float) -> bool:
        if self.limit > self._good:
            return rate >= self._good_rate * WORTHWHILE
        return self.limit == self._good or rate >= self._good_rate / WORTHWHILE

    def _step(self) -> None:
        """One step; by whole turns, or it would change nothing."""
        self._upwards = self.limit < MOST if self._upwards else self.limit <= 1
        if self._upwards:
            self.limit = min(MOST, max(self.limit * STEP, self.limit + LEAST_STEP))
        else:
            self.limit = max(1.0, min(self.limit / STEP, self.limit - LEAST_STEP))
