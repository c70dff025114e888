"""``file://``: a folder of this machine, or one that it has mounted.

A compressed object carries its encoding as an extension (``0-64_0-64_0-64.gz``), as CloudVolume writes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import PurePosixPath

from cvbatch.errors import ForbiddenError, StorageError
from cvbatch.liveness import process_lives
from cvbatch.storage.base import Blob, Buffer

EXTENSIONS = {"": "", "gzip": ".gz", "br": ".br", "zstd": ".zstd", "xz": ".xz", "bzip2": ".bz2"}
ENCODINGS = {extension: encoding for encoding, extension in EXTENSIONS.items()}
PARTIAL = ".cvbpart"
NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def storage_error(action: str, path: str, error: OSError) -> StorageError:
    """The failure or refusal behind an OSError, with the path in its message."""
    kind = ForbiddenError if error.errno in REFUSED else StorageError
    return kind(f"cannot {action} {path}: {error.strerror or error}")


def current_umask() -> int:
    """The permission bits that new files don't get (reading them means setting them)."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


class LocalStore:
    """The files below one folder. They appear under their names only when they are whole."""

    def __init__(self, root: str) -> None:
        self.url = f"file://{root}"
        self._root = root
        self._mode = 0o666 & ~current_umask()
        # From a random number on, so that two stores of one process don't write to one temporary name.
        self._serial = itertools.count(secrets.randbits(48))
        # Tells whose unfinished file it is, so that the living are left alone by `sweep`.
        self._writer = f"{socket.gethostname().replace('.', '-')}.{os.getpid()}"

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def get(self, key: str) -> Blob | None:
        path = self._path(key)
        for encoding, extension in EXTENSIONS.items():
            data = self._read(path + extension)
            if data is not None:
                return Blob(data, encoding)
        return None

    def _read(self, path: str) -> bytes | None:
        # os.open and os.read cost half of what a Python file object does, and chunks are small.
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in NOT_THERE:
                return None
            raise storage_error("read", path, error) from error
        try:
            nbytes = os.fstat(handle).st_size
            data = os.read(handle, nbytes + 1)
            while len(data) < nbytes and (more := os.read(handle, nbytes - len(data))):
                data += more
            return data
        except OSError as error:
            raise storage_error("read", path, error) from error
        finally:
            os.close(handle)

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        path = self._path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(start)
                return file.read(stop - start)
        except OSError as error:
            if error.errno in NOT_THERE:
                return None
            raise storage_error("read", path, error) from error

    def put(self, key: str, blob: Blob, content_type: str = "application/octet-stream") -> None:
        path = self._path(key) + EXTENSIONS[blob.encoding]
        partial = self._write_partial(path, blob.data)
        try:
            os.rename(partial, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise storage_error("write", path, error) from error
        # Readers would otherwise find an older version of the object under another extension.
        for encoding, extension in EXTENSIONS.items():
            if encoding != blob.encoding:
                self._unlink(self._path(key) + extension)

    def _write_partial(self, path: str, data: Buffer) -> str:
        """Write to a new temporary name beside ``path``, which is returned."""
        folder, name = os.path.split(path)
        partial = f"{folder}/.{name}.{self._writer}.{next(self._serial)}{PARTIAL}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            try:
                handle = os.open(partial, flags, 0o600)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                handle = os.open(partial, flags, 0o600)
            try:
                rest = memoryview(data).cast("B")
                while len(rest):
                    rest = rest[os.write(handle, rest) :]
                os.fchmod(handle, self._mode)
            finally:
                os.close(handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise storage_error("write", path, error) from error
        return partial

    def create(self, key: str, data: Buffer) -> bool:
        if self.exists(key):  # Perhaps under an extension, where the link below would not meet it.
            return False
        path = self._path(key)
        partial = self._write_partial(path, data)
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise storage_error("create", path, error) from error
        finally:
            os.unlink(partial)
        return True

    def delete(self, key: str) -> bool:
        return sum(self._unlink(self._path(key) + extension) for extension in ENCODINGS) > 0

    def _unlink(self, path: str) -> bool:
        try:
            os.unlink(path)
        except OSError as error:
            if error.errno in NOT_THERE:
                return False
            raise storage_error("delete", path, error) from error
        return True

    def exists(self, key: str) -> bool:
        return any(os.path.isfile(self._path(key) + extension) for extension in ENCODINGS)

    def list(self, prefix: str = "") -> Iterator[str]:
        for name in self._files(prefix):
            if not name.endswith(PARTIAL):
                stem, extension = os.path.splitext(name)
                key = stem if extension in ENCODINGS else name
                if key.startswith(prefix):
                    yield key

    def _files(self, prefix: str) -> Iterator[str]:
        """Paths relative to the root that begin with ``prefix``; only folders that can hold one are read."""
        pending = [str(PurePosixPath(prefix).parent) if not prefix.endswith("/") else prefix.rstrip("/")]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(self._path(folder)) as entries:
                    for entry in entries:
                        name = entry.name if folder in ("", ".") else f"{folder}/{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            if name.startswith(prefix) or prefix.startswith(f"{name}/"):
                                pending.append(name)
                        elif name.startswith(prefix):
                            yield name
            except OSError as error:
                if error.errno not in NOT_THERE:
                    raise storage_error("list", self._path(folder), error) from error

    def flush(self) -> None:
        """``syncfs`` where the platform has it: one call for all files of all worker processes."""
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs"):
            os.sync()
            return
        try:
            handle = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error("sync", self._root, error) from error
        try:
            if libc.syncfs(handle) != 0:
                code = ctypes.get_errno()
                raise storage_error("sync", self._root, OSError(code, os.strerror(code)))
        finally:
            os.close(handle)

    def sweep(self) -> int:
        partials = [name for name in self._files("") if name.endswith(PARTIAL)]
        orphans = [name for name in partials if not self._writer_lives(name)]
        return sum(self._unlink(self._path(name)) for name in orphans)

    @staticmethod
    def _writer_lives(name: str) -> bool:
        """Whether the process that writes this partial file may still run; other hosts may."""
        *_, host, pid, _serial, _suffix = name.split(".")
        if host != socket.gethostname().replace(".", "-"):
            return True
        return process_lives(int(pid))
