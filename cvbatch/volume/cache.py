"""Objects of a volume kept on this machine's disk, so that they are fetched once.

Laid out as CloudVolume does it: ``<cache>/<protocol>/<path of the volume>/<key>``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cvbatch.codecs import byte_codec, decompress
from cvbatch.errors import StorageError
from cvbatch.storage import Blob, Buffer, LocalStore, Location, Store
from cvbatch.storage.base import OCTETS
from cvbatch.volume.options import Compress, compression_name

log = logging.getLogger(__name__)
# Locks are of a group of objects: as many files, whatever the volume's size.
LOCKS = 64
LOCK_FOLDER = ".locks"
# Nothing that is kept is larger when it is decompressed.
LARGEST_OBJECT = 1 << 40
# When a cache is full it is emptied this far, so that it isn't looked through at every chunk.
KEPT_SHARE = 0.9


@dataclass(frozen=True)
class CacheSettings:
    """``path`` is the folder of one volume. ``compress`` None keeps objects as they come, True with gzip,
    False without compression, or is the name of one. ``locking`` makes it safe among processes that write the volume.
    ``max_bytes`` None keeps everything."""

    path: str
    compress: Compress = None
    locking: bool = True
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.compress is not None:
            compression_name(self.compress, "raw")  # To be told now rather than at the first read.


def cache_folder(location: Location, root: str | None) -> str:
    """The folder of a volume below a cache's root, or below the standard one."""
    base = root or os.environ.get("CLOUD_VOLUME_CACHE_DIR")
    if base is None:
        home = os.environ.get("CLOUD_VOLUME_DIR") or os.path.join(os.path.expanduser("~"), ".cloudvolume")
        base = os.path.join(home, "cache")
    return os.path.join(os.path.abspath(os.path.expanduser(base)), location.protocol, location.path.lstrip("/"))


class CachedStore:
    """A store whose objects are read from the cache if they are there, and enter it when they are read or written.

    The store itself says what exists. An object of the cache is whole or not there, as in any
    :class:`~cvbatch.storage.LocalStore`; a cache that can't be written to is done without.
    """

    def __init__(self, store: Store, settings: CacheSettings) -> None:
        self.url = store.url
        self._store = store
        self._settings = settings
        self._cache = LocalStore(settings.path)
        self._warned = False

    def get(self, key: str) -> Blob | None:
        with self._locked(key, fcntl.LOCK_SH):
            found = self._cached(key)
            if found is not None:
                return found
            blob = self._store.get(key)
            if blob is not None:
                self._keep(key, blob)
            return blob

    def exact(self) -> Store:
        return CachedStore(self._store.exact(), self._settings)

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        return self._store.get_range(key, start, stop)

    def put(self, key: str, blob: Blob, content_type: str = OCTETS, durable: bool = False) -> None:
        with self._locked(key, fcntl.LOCK_EX):
            # First the old one goes: killed in between, the cache must not have what the store hasn't any more.
            self._forget(key)
            self._store.put(key, blob, content_type, durable)
            self._keep(key, blob)

    def create(self, key: str, data: Buffer) -> bool:
        return self._store.create(key, data)

    def delete(self, key: str) -> None:
        with self._locked(key, fcntl.LOCK_EX):
            self._forget(key)
            self._store.delete(key)

    def delete_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)

    def copies_from(self, source: Store) -> bool:
        return False  # What is copied elsewhere would not enter the cache.

    def copy(self, source: Store, source_key: str, key: str) -> int | None:
        return self._store.copy(source, source_key, key)

    def reach(self) -> None:
        self._store.reach()

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        return self._store.list(prefix)

    def flush(self) -> None:
        self._store.flush()

    def sweep(self) -> int:
        return self._store.sweep()

    def _cached(self, key: str) -> Blob | None:
        blob = self._cache.get(key)
        if blob is not None and self._settings.max_bytes is not None:
            self._mark_used(key)
        return blob

    def _mark_used(self, key: str) -> None:
        for name in files_of(self._settings.path, key):
            with suppress(OSError):
                os.utime(name)

    def _keep(self, key: str, blob: Blob) -> None:
        try:
            kept = self._as_kept(blob)
            self._make_room(len(kept.data))
            self._cache.put(key, kept)
        except StorageError as error:
            self._warn("the cache in %s is not used: %s", error)

    def _warn(self, text: str, error: Exception) -> None:
        """Once: what is true of one chunk will be true of the next thousand."""
        if not self._warned:
            self._warned = True
            log.warning(text, self._settings.path, error)

    def _as_kept(self, blob: Blob) -> Blob:
        if self._settings.compress is None:
            return blob
        codec = byte_codec(compression_name(self._settings.compress, "raw"), None, "image", "raw")
        if codec.encoding == blob.encoding:
            return blob
        data = decompress(blob.data, blob.encoding, LARGEST_OBJECT)
        return Blob(codec.compress(data), codec.encoding)

    def _forget(self, key: str) -> None:
        with suppress(StorageError):
            self._cache.delete(key)

    def _make_room(self, nbytes: int) -> None:
        """See to it that ``nbytes`` more stay inside of the limit, by removing what was not used for longest."""
        limit = self._settings.max_bytes
        if limit is None:
            return
        # All processes add to one number, so that the files are counted only when it says that the cache is full.
        try:
            handle = _open_lock(os.path.join(self._settings.path, LOCK_FOLDER), "bytes")
        except OSError:
            return  # Nor can the object be kept then.
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            known = os.pread(handle, 32, 0).strip()
            total = int(known) if known else limit
            if total + nbytes > limit:
                total = _evict(self._settings.path, limit, nbytes)
            os.pwrite(handle, f"{total + nbytes:<31}\n".encode(), 0)
        finally:
            os.close(handle)

    @contextmanager
    def _locked(self, key: str, kind: int) -> Iterator[None]:
        """Keep a reader from caching an old version while a writer replaces it."""
        if not self._settings.locking:
            yield
            return
        folder = os.path.join(self._settings.path, LOCK_FOLDER)
        try:
            handle = _open_lock(folder, str(zlib.crc32(key.encode()) % LOCKS))
        except OSError as error:
            self._warn("the cache in %s cannot be locked: %s", error)
            yield
            return
        try:
            fcntl.flock(handle, kind)
            yield
        finally:
            os.close(handle)


def _open_lock(folder: str, name: str) -> int:
    path, flags = os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return os.open(path, flags, 0o600)


def cached_files(path: str, key_prefix: str = "") -> list[os.DirEntry[str]]:
    """The files that hold objects whose key begins with a folder, ``""`` for all."""
    found: list[os.DirEntry[str]] = []
    pending = [os.path.join(path, key_prefix)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != LOCK_FOLDER:
                        pending.append(entry.path)
                elif not entry.name.startswith("."):
                    found.append(entry)
    return found


def files_of(path: str, key: str) -> list[str]:
    """The files under which an object may be kept: with any extension."""
    folder, name = os.path.split(os.path.join(path, key))
    return [str(file) for file in Path(folder).glob(f"{name}*") if file.name.split(".")[0] == name.split(".")[0]]


def _evict(path: str, limit: int, wanted: int) -> int:
    """Where a cache has no room for ``wanted`` bytes, remove what was not used for longest; the bytes that are left."""
    files = []
    for entry in cached_files(path):
        with suppress(OSError):
            status = entry.stat()
            files.append((status.st_mtime_ns, status.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    if total + wanted <= limit:
        return total
    for _, size, name in sorted(files):
        if total + wanted <= KEPT_SHARE * limit:
            break
        with suppress(OSError):
            os.unlink(name)
        total -= size
    return total
