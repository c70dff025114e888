"""``mem://``: objects in the memory of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cvbatch.storage.base import OCTETS, Blob, Buffer, Store


@dataclass
class _Space:
    """All objects of ``mem://``, by full path."""

    objects: dict[str, Blob] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


# mem:// names one place for the whole process, as file:// does for the machine.
_SPACE = _Space()


class MemoryStore:
    """Objects that live as long as the process. Two stores of one path see the same objects."""

    def __init__(self, path: str) -> None:
        self.url = f"mem://{path}"
        self._prefix = f"{path}/"

    def get(self, key: str) -> Blob | None:
        return _SPACE.objects.get(self._prefix + key)

    def exact(self) -> Store:
        return self  # What is read is what is there.

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        blob = self.get(key)
        return None if blob is None else bytes(blob.data[start:stop])

    def put(self, key: str, blob: Blob, content_type: str = OCTETS, durable: bool = False) -> None:
        # A copy: the caller may write into its buffer again.
        _SPACE.objects[self._prefix + key] = Blob(bytes(blob.data), blob.encoding)

    def create(self, key: str, data: Buffer) -> bool:
        with _SPACE.lock:
            if self.exists(key):
                return False
            self.put(key, Blob(data))
            return True

    def delete(self, key: str) -> None:
        _SPACE.objects.pop(self._prefix + key, None)

    def delete_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)

    def exists(self, key: str) -> bool:
        return self._prefix + key in _SPACE.objects

    def list(self, prefix: str = "") -> Iterator[str]:
        start = self._prefix + prefix
        return iter([key[len(self._prefix) :] for key in list(_SPACE.objects) if key.startswith(start)])

    def copies_from(self, source: Store) -> bool:
        return isinstance(source, MemoryStore)

    def copy(self, source: Store, source_key: str, key: str) -> int | None:
        blob = source.get(source_key)
        if blob is None:
            return None
        self.put(key, blob)
        return len(blob.data)

    def reach(self) -> None:
        """Memory is always there."""

    def flush(self) -> None:
        """Memory doesn't survive, and nothing is promised."""

    def sweep(self) -> int:
        return 0
