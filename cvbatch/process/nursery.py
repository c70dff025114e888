"""Worker processes that begin early."""

from __future__ import annotations

from cvbatch.process.child import PATIENCE_SECONDS, Child

# A name and no import: what a worker needs takes it, and whoever starts it, a quarter of a second to load.
WORKER = "cvbatch.pipeline.worker"


class Nursery:
    """Worker processes that begin before it is known what they will work on: an interpreter takes its time."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def begin(self, count: int) -> None:
        """Let processes begin until that many wait."""
        while len(self._children) < count:
            self._children.append(Child.start(WORKER))

    def take(self) -> Child:
        """The one that began first, or a new one."""
        return self._children.pop(0) if self._children else Child.start(WORKER)

    def close(self) -> None:
        """End those that nobody took."""
        for child in self._children:
            child.process.kill()
        for child in self._children:
            child.end(PATIENCE_SECONDS)
        self._children = []
