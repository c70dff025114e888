"""One POSIX shared-memory segment of an arena."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import sys
from typing import Any, Self

import numpy as np
import posix_ipc
from numpy.typing import NDArray

from cvbatch.errors import SharedMemoryError

PREFIX = "cvb-"
# macOS allows 31 characters with the slash that begins a name.
LONGEST_NAME = 30


def available_bytes() -> int | None:
    """Bytes that new segments can take, or None where the platform doesn't say."""
    try:
        stat = os.statvfs("/dev/shm")
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize


def segment_name(job: str, serial: int) -> str:
    """``cvb-<job>-<pid>-<serial>``: carries whose it is, and stays short.

    >>> len(segment_name("0123456789abcdef", 3)) <= LONGEST_NAME
    True
    """
    name = f"{PREFIX}{job[:8]}-{os.getpid()}-{serial}"
    if len(name) > LONGEST_NAME:
        raise SharedMemoryError(f"the name {name!r} is longer than {LONGEST_NAME} characters")
    return name


def allocate(handle: int, nbytes: int) -> None:
    """Give a new segment or file all its pages: one that is missing at the first touch kills with SIGBUS."""
    if sys.platform == "darwin":
        os.ftruncate(handle, nbytes)
    else:
        os.posix_fallocate(handle, 0, nbytes)


def no_room(nbytes: int, error: Exception) -> SharedMemoryError:
    """What to say where a segment could not be made as large as that."""
    advice = str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        advice = (
            f"/dev/shm has {available_bytes() or 0:,} bytes free. Ask for less at a time (jobs: lower workers.memory "
            "or workers.processes), enlarge /dev/shm (docker: --shm-size), or free orphans with `cvbatch shm sweep`"
        )
    return SharedMemoryError(f"no room for {nbytes:,} bytes of shared memory: {advice}")


class SharedBlock:
    """A segment that this process made, owns and will unlink.

    The owner holds a lock on it (``flock``) for as long as it lives, however it ends: a segment that
    nobody locks has no owner. Readable by this user only (0600).
    """

    def __init__(self, name: str, nbytes: int) -> None:
        """Make the segment, with all its pages.

        Raises :class:`SharedMemoryError` where there is no room: a page that is missing at the first
        touch would kill the process with SIGBUS instead.
        """
        self.name = name
        self.nbytes = nbytes
        try:
            segment = posix_ipc.SharedMemory(f"/{name}", posix_ipc.O_CREX, size=0, mode=0o600)
        except (posix_ipc.Error, OSError) as error:
            raise SharedMemoryError(f"cannot make shared memory {name!r}: {error}") from error
        self._handle: int = segment.fd
        try:
            with contextlib.suppress(OSError):  # macOS has no locks on segments; there the pid in the name tells.
                # Waits for the microseconds in which a sweep looks whether anybody holds it.
                fcntl.flock(self._handle, fcntl.LOCK_EX)
            allocate(self._handle, nbytes)
            self._map = mmap.mmap(self._handle, nbytes)
        except (OSError, ValueError, OverflowError) as error:
            os.close(self._handle)
            self._unlink()
            raise no_room(nbytes, error) from error

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A Fortran-ordered array over the bytes from ``offset``."""
        # An array made over the map itself doesn't keep `close` from unmapping it; one made by frombuffer does.
        return np.ndarray(shape, dtype, buffer=np.frombuffer(self._map, np.uint8), offset=offset, order="F")

    def close(self) -> None:
        """Unlink the segment and give back its memory. Arrays over it keep their pages until they are gone."""
        self._unlink()
        with contextlib.suppress(BufferError):
            self._map.close()
        os.close(self._handle)

    def _unlink(self) -> None:
        with contextlib.suppress(posix_ipc.ExistentialError):
            posix_ipc.unlink_shared_memory(f"/{self.name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
