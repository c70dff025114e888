"""``file://``: a folder of this machine, or one that it has mounted.

A compressed object carries its encoding as an extension (``0-64_0-64_0-64.gz``), as CloudVolume writes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from cvbatch.errors import ForbiddenError, StorageError
from cvbatch.process.liveness import process_lives
from cvbatch.storage.base import OCTETS, Blob, Buffer, Store, leaves

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
    """The permission bits that new files don't get."""
    try:
        with open("/proc/self/status") as file:
            found = next(line for line in file if line.startswith("Umask:"))
        return int(found.split()[1], 8)
    except (OSError, StopIteration):
        # Without Linux's way, reading the mask means setting it for a moment, for all threads.
        mask = os.umask(0o077)
        os.umask(mask)
        return mask


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in NOT_THERE:
            return False
        raise storage_error("look for", path, error) from error


def _is_orphan(name: str) -> bool:
    """Whether this is the unfinished file of a process of this host that is gone."""
    match = re.search(rf"(?:^|/)\..+\.([^./]+)\.(\d+)\.[^./]+{re.escape(PARTIAL)}$", name)
    return match is not None and match[1] == _host() and not process_lives(int(match[2]))


def _host() -> str:
    """This machine, in a word without the dots that separate the parts of a partial file's name."""
    return socket.gethostname().replace(".", "-")


def _read_handle(handle: int, start: int, stop: int | None) -> bytes:
    """Bytes [start, stop) of an open file, fewer at its end; one call for all but huge files."""
    end = os.fstat(handle).st_size
    wanted = max(0, (end if stop is None else min(stop, end)) - start)
    data = os.pread(handle, wanted, start)
    while len(data) < wanted and (more := os.pread(handle, wanted - len(data), start + len(data))):
        data += more
    return data


class LocalStore:
    """The files below one folder. They appear under their names only when they are whole."""

    def __init__(self, root: str) -> None:
        self.url = f"file://{root}"
        self._root = root
        self._mode = 0o666 & ~current_umask()
        # From a random number on, so that two stores of one process don't write to one temporary name.
        self._serial = itertools.count(secrets.randbits(48))
        # Tells whose unfinished file it is, so that the living are left alone by `sweep`.
        self._writer = f"{_host()}.{os.getpid()}"

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _path_to_change(self, key: str) -> str:
        """The path of an object that is to be written or deleted, which is never outside of the folder."""
        if leaves(key):
            raise ForbiddenError(f"{key} is outside of {self.url}; nothing is written or deleted there")
        return self._path(key)

    def get(self, key: str) -> Blob | None:
        return self._read(key, 0, None)

    def exact(self) -> Store:
        return self  # What is read is what is there.

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        blob = self._read(key, start, stop)
        return None if blob is None else bytes(blob.data)

    def _read(self, key: str, start: int, stop: int | None) -> Blob | None:
        """Bytes [start, stop) of the first of the object's possible files that is there."""
        path = self._path(key)
        # Twice: who stores it with another extension makes that file and then removes this one, behind our back.
        for encoding, extension in (*EXTENSIONS.items(), *EXTENSIONS.items()):
            try:
                # os.open and os.pread cost half of what a Python file object does, and chunks are small.
                handle = os.open(path + extension, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in NOT_THERE:
                    continue
                raise storage_error("read", path + extension, error) from error
            try:
                return Blob(_read_handle(handle, start, stop), encoding)
            except OSError as error:
                raise storage_error("read", path + extension, error) from error
            finally:
                os.close(handle)
        return None

    def put(self, key: str, blob: Blob, content_type: str = OCTETS, durable: bool = False) -> None:
        path = self._path_to_change(key) + EXTENSIONS[blob.encoding]
        partial = self._write_partial(path, blob.data, durable)
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

    def _write_partial(self, path: str, data: Buffer, durable: bool) -> str:
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
                if durable:  # Else a loss of power may leave the name without the bytes.
                    os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise storage_error("write", path, error) from error
        return partial

    def create(self, key: str, data: Buffer) -> bool:
        path = self._path_to_change(key)
        if self.exists(key):  # Perhaps under an extension, where the link below would not meet it.
            return False
        partial = self._write_partial(path, data, durable=True)
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise storage_error("create", path, error) from error
        finally:
            os.unlink(partial)
        return True

    def delete(self, key: str) -> None:
        path = self._path_to_change(key)
        for extension in ENCODINGS:
            self._unlink(path + extension)

    def delete_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)

    def copies_from(self, source: Store) -> bool:
        return False

    def copy(self, source: Store, source_key: str, key: str) -> int | None:
        raise StorageError(f"{self.url} does not copy by itself")

    def reach(self) -> None:
        """A folder that isn't there is made when it is written to."""

    def _unlink(self, path: str) -> bool:
        try:
            os.unlink(path)
        except OSError as error:
            if error.errno in NOT_THERE:
                return False
            raise storage_error("delete", path, error) from error
        return True

    def exists(self, key: str) -> bool:
        return any(_is_file(self._path(key) + extension) for extension in (*ENCODINGS, *ENCODINGS))

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
        orphans = [name for name in self._files("") if _is_orphan(name)]
        return sum(self._unlink(self._path(name)) for name in orphans)
