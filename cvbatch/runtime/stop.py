"""The wish that a run should end."""

from __future__ import annotations


class StopFlag:
    """Asked once, a run finishes the tasks that it has begun; asked twice, it ends at once.

    Plain attribute writes: a signal handler may call :meth:`request`.
    """

    def __init__(self) -> None:
        self.requests = 0

    def request(self) -> None:
        self.requests += 1

    @property
    def soon(self) -> bool:
        return self.requests >= 1

    @property
    def now(self) -> bool:
        return self.requests >= 2
