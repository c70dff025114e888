"""Memory that has a name which a user chose: shared-memory segments, and files of raw voxels.

Nothing here is unlinked unless somebody asks for it. A program in any language maps the same bytes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import posix_ipc
from numpy.typing import NDArray

from cvbatch.errors import SharedMemoryError, SharedMemoryNameError, SharedMemoryReadError
from cvbatch.memory.registry import forget, remember
from cvbatch.memory.segment import LONGEST_NAME, allocate, no_room

# What Linux allows as the name of a file, which is what a segment is there.
LONGEST_LINUX_NAME = 255
SEGMENT, FILE = "segment", "file"


@dataclass(frozen=True)
class NamedArray:
    """Where an array lies: ``name`` is that of a segment (without ``/dev/shm/``) or the path of a file.

    ``shape`` is (x, y, z, channel), ``order`` F or C. All that another process has to be told.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    order: str = "F"

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * np.dtype(self.dtype).itemsize

    def create(self) -> NDArray[Any]:
        """The array, in a segment or file that is made for it.

        One of another size that is there is replaced: who has mapped it keeps the old bytes. Raises
        :class:`SharedMemoryError` where there is no room, and :class:`SharedMemoryNameError`.
        """
        if self.kind == SEGMENT:
            check_name(self.name)
            array = self._array(_make_segment(self.name, self.nbytes))
            remember(self.name, self.nbytes)
            return array
        return self._array(_make_file(self.name, self.nbytes))

    def remove(self) -> None:
        """Unlink the segment or file."""
        if self.kind == SEGMENT:
            unlink_segment(self.name)
        else:
            os.unlink(self.name)

    def open(self) -> NDArray[Any]:
        """The array as it lies there, writable.

        Raises :class:`SharedMemoryReadError` where there is nothing of that name, or not of that many bytes.
        """
        if self.kind == SEGMENT:
            check_name(self.name)
        with _handle(self) as handle:
            found = os.fstat(handle).st_size
            if found != self.nbytes:
                raise SharedMemoryReadError(
                    f"{self.kind} {self.name!r} has {found:,} bytes; {self.shape} of {self.dtype} are {self.nbytes:,}"
                )
            return self._array(mmap.mmap(handle, self.nbytes))

    def _array(self, mapped: mmap.mmap) -> NDArray[Any]:
        # Unmapped when the last array over it is gone, however long the segment itself stays.
        flat = np.frombuffer(mapped, np.uint8)
        return np.ndarray(self.shape, np.dtype(self.dtype), buffer=flat, order="C" if self.order == "C" else "F")


def check_name(name: str) -> None:
    """Raise :class:`SharedMemoryNameError` for a name that no segment can have here."""
    longest = LONGEST_NAME if sys.platform == "darwin" else LONGEST_LINUX_NAME
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise SharedMemoryNameError(f"{name!r} cannot name shared memory: it must not be empty or have a slash in it")
    if len(name.encode()) > longest:
        raise SharedMemoryNameError(f"{name[:40]!r}… has {len(name.encode())} bytes; names may have {longest} here")


def unlink_segment(name: str) -> bool:
    """Remove a segment's name; its memory is free when nobody has it mapped. Whether there was one."""
    check_name(name)
    forget(name)
    try:
        posix_ipc.unlink_shared_memory(f"/{name}")
    except posix_ipc.ExistentialError:
        return False
    except (posix_ipc.Error, OSError) as error:
        raise SharedMemoryError(f"cannot unlink shared memory {name!r}: {error}") from error
    return True


@contextlib.contextmanager
def _handle(array: NamedArray) -> Any:
    try:
        if array.kind == SEGMENT:
            handle = posix_ipc.SharedMemory(f"/{array.name}").fd
        else:
            handle = os.open(array.name, os.O_RDWR | os.O_CLOEXEC)
    except posix_ipc.ExistentialError as error:
        asked = f"{array.nbytes:,} bytes were asked for"
        raise SharedMemoryReadError(f"there is no shared memory {array.name!r}; {asked}") from error
    except (posix_ipc.Error, OSError) as error:
        raise SharedMemoryReadError(f"cannot open {array.kind} {array.name!r}: {error}") from error
    try:
        yield handle
    finally:
        os.close(handle)


def _make_segment(name: str, nbytes: int) -> mmap.mmap:
    try:
        segment = posix_ipc.SharedMemory(f"/{name}", posix_ipc.O_CREAT, size=0, mode=0o600)
    except (posix_ipc.Error, OSError) as error:
        raise SharedMemoryError(f"cannot make shared memory {name!r}: {error}") from error
    handle: int = segment.fd
    try:
        if os.fstat(handle).st_size not in (0, nbytes):
            # Cut shorter, it would kill whoever has the rest mapped.
            posix_ipc.unlink_shared_memory(f"/{name}")
            os.close(handle)
            handle = posix_ipc.SharedMemory(f"/{name}", posix_ipc.O_CREX, size=0, mode=0o600).fd
        allocate(handle, nbytes)
        return mmap.mmap(handle, nbytes)
    except (posix_ipc.Error, OSError, ValueError, OverflowError) as error:
        with contextlib.suppress(posix_ipc.ExistentialError):
            posix_ipc.unlink_shared_memory(f"/{name}")
        raise no_room(nbytes, error) from error
    finally:
        os.close(handle)


def _make_file(path: str, nbytes: int) -> mmap.mmap:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise SharedMemoryError(f"cannot write {path}: {error.strerror}") from error
    try:
        allocate(handle, nbytes)
        return mmap.mmap(handle, nbytes)
    except (OSError, ValueError) as error:
        os.unlink(path)
        raise SharedMemoryError(f"no room for {nbytes:,} bytes in {path}: {error}") from error
    finally:
        os.close(handle)
