"""The contract of a store."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of one object as they are stored.

    ``encoding`` is what they are compressed with, as HTTP says it (``gzip``, ``br``, ``zstd``, …), or ``""``.
    """

    data: Buffer
    encoding: str = ""


def leaves(key: str) -> bool:
    """Whether a key, followed as a path, leads out of its store.

    >>> leaves("../other/4_4_40"), leaves("4_4_40/../../other"), leaves("a/../b..c")
    (True, True, False)
    """
    # Nearly all keys are done with the first look.
    return ".." in key and (posixpath.normpath(key.lstrip("/")) + "/").startswith("../")


class Store(Protocol):
    """Objects under keys below one URL. Safe to use from several threads.

    An object is either whole or not there. What is *absent* is a value (``None``, ``False``); what is
    *forbidden* raises :class:`~cvbatch.errors.ForbiddenError`; what *failed* raises
    :class:`~cvbatch.errors.StorageError`. Nothing outside of the URL is written or deleted: keys that lead there
    (:func:`leaves`) are forbidden.
    """

    url: str

    def get(self, key: str) -> Blob | None:
        """The whole object, not decompressed, or None where there is none."""
        ...

    def exact(self) -> Store:
        """The same objects, for who passes them on without decoding.

        All bytes are compared with what the store knows of them, also where decoding would tell that they changed.
        """
        ...

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        """Bytes [start, stop) of the object as stored, fewer at its end, or None where there is none."""
        ...

    def put(self, key: str, blob: Blob, content_type: str = OCTETS, durable: bool = False) -> None:
        """Write the whole object, in place of what was there; ``durable`` returns when it is safe by itself."""
        ...

    def create(self, key: str, data: Buffer) -> bool:
        """Write the object, durably, only where there is none; whether it was written."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object. One that is absent doesn't matter: most buckets don't say whether it was."""
        ...

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove objects, many by one request where the store has such. Those that are absent don't matter."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with ``prefix``, in no order."""
        ...

    def copies_from(self, source: Store) -> bool:
        """Whether :meth:`copy` can copy from there."""
        ...

    def copy(self, source: Store, source_key: str, key: str) -> int | None:
        """Copy an object, with its encoding, without its bytes passing through here; how many, None where absent."""
        ...

    def reach(self) -> None:
        """Raise what stands in the way of the whole place: no such bucket, or nobody who may look into it."""
        ...

    def flush(self) -> None:
        """Return when everything put so far, by any process of this machine, survives a loss of power."""
        ...

    def sweep(self) -> int:
        """Remove what writers that died have left unfinished; how many there were."""
        ...
