"""Numbers handed out in order to whoever works, until one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

# Told how many more parts are done.
Tick: TypeAlias = Callable[[int], None]


def no_tick(parts: int) -> None:
    """The tick of those who don't watch."""


@dataclass(frozen=True)
class _Failure:
    number: int
    error: BaseException


class Handout:
    """The numbers below ``count``, in ranges of ``step``. After a failure there are no more.

    All numbers before one that was handed out were handed out, too: so the failure with the lowest number is the
    one that a single worker would have met, however many there are.
    """

    def __init__(self, count: int, step: int = 1) -> None:
        self._count, self._step = count, step
        self._next = 0
        self._failure: _Failure | None = None
        self._lock = threading.Lock()

    def take(self) -> range | None:
        """The next numbers, None where there are none to do."""
        with self._lock:
            if self._failure is not None or self._next >= self._count:
                return None
            start, self._next = self._next, min(self._next + self._step, self._count)
            return range(start, self._next)

    def fail(self, number: int, error: BaseException) -> None:
        """Say that a number went wrong."""
        with self._lock:
            if self._failure is None or number < self._failure.number:
                self._failure = _Failure(number, error)

    def raise_failure(self) -> None:
        """Raise the error of the lowest number that went wrong, if any did."""
        if self._failure is not None:
            raise self._failure.error


def do_all(do: Callable[[int], None], count: int, threads: int, tick: Tick = no_tick) -> None:
    """``do`` each number below ``count``, in this thread and ``threads - 1`` more.

    Raises what the lowest number raised; nothing runs any more when this returns or raises.
    """
    handout = Handout(count)

    def serve() -> None:
        while (numbers := handout.take()) is not None:
            for number in numbers:
                try:
                    do(number)
                except BaseException as error:  # noqa: BLE001 - raised where all have ended; also Ctrl-C
                    handout.fail(number, error)
                else:
                    tick(1)

    others = [threading.Thread(target=serve, name="cvbatch", daemon=True) for _ in range(min(threads, count) - 1)]
    for thread in others:
        thread.start()
    try:
        serve()
    except BaseException as error:  # Ctrl-C between two numbers.
        handout.fail(-1, error)
        raise
    finally:
        for thread in others:
            thread.join()
    handout.raise_failure()
