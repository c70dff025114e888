"""The threads of a worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

T = TypeVar("T")


class Submits(Protocol):
    """The part of ``concurrent.futures.Executor`` that is used here."""

    def submit(self, function: Callable[..., T], /, *arguments: object) -> Future[T]: ...


class Serial:
    """An executor without threads: work is done when it is submitted.

    What codecs spend holding the GIL is faster without threads that wait for it.
    """

    def submit(self, function: Callable[..., T], /, *arguments: object) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Pools:
    """``threads`` that fetch and decode, and as many that encode and store."""

    threads: int
    fetch: Submits
    store: Submits

    @classmethod
    def of(cls, threads: int) -> Self:
        """With one thread all is done in the calling one."""
        if threads == 1:
            return cls(1, Serial(), Serial())
        return cls(threads, ThreadPoolExecutor(threads, "fetch"), ThreadPoolExecutor(threads, "store"))

    def close(self) -> None:
        """Wait for what runs; what has not begun never will."""
        for pool in (self.fetch, self.store):
            if isinstance(pool, ThreadPoolExecutor):
                pool.shutdown(wait=True, cancel_futures=True)


def finish_all(futures: list[Future[None]]) -> None:
    """Wait for all, and then raise the first error there was.

    Nothing may still run when this returns: the memory that it works on is about to be used again.
    """
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
