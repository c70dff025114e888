"""A mapping of bounded size that forgets what was not used for longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(MutableMapping[K, V], Generic[K, V]):
    """Values by key, of at most ``size`` bytes in all as ``weigh`` counts them. Thread-safe."""

    def __init__(self, size: int = 0, weigh: Callable[[Any], int] = len) -> None:
        self.size = size
        self.nbytes = 0
        self._weigh = weigh
        self._items: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: K) -> V:
        with self._lock:
            value = self._items[key]
            self._items.move_to_end(key)
            return value

    def __setitem__(self, key: K, value: V) -> None:
        with self._lock:
            self._drop(key)
            if self._weigh(value) <= self.size:
                self._items[key] = value
                self.nbytes += self._weigh(value)
            self._make_room()

    def __delitem__(self, key: K) -> None:
        with self._lock:
            if key not in self._items:
                raise KeyError(key)
            self._drop(key)

    def __iter__(self) -> Iterator[K]:
        with self._lock:
            return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Lru({len(self)} items, {self.nbytes:,} of {self.size:,} bytes)"

    def resize(self, size: int) -> None:
        """Allow ``size`` bytes from now on; 0 keeps nothing."""
        if size < 0:
            raise ValueError(f"an LRU of {size} bytes")
        with self._lock:
            self.size = size
            self._make_room()

    def _drop(self, key: K) -> None:
        if key in self._items:
            self.nbytes -= self._weigh(self._items.pop(key))

    def _make_room(self) -> None:
        while self.nbytes > self.size:
            _, value = self._items.popitem(last=False)
            self.nbytes -= self._weigh(value)
