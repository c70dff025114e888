"""``s3://``, ``gs://``, ``http(s)://``: objects behind a network, by way of obstore.

A compressed object carries its encoding as ``Content-Encoding``, and passes as it is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeVar

from cvbatch.errors import ReadOnlyException, StorageError, WrongPlaceError
from cvbatch.storage.base import OCTETS, Blob, Buffer, Store
from cvbatch.storage.clients import WebPageError, bucket_client
from cvbatch.storage.url import Location

T = TypeVar("T")
DOCUMENT = "application/json"
# Larger objects are sent in parts of this size. S3 takes 10,000 of them: 160 GB.
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 4
KEYS_AT_ONCE = 1000
# S3 names an object by this digest, unless it was sent in parts or is encrypted with a key of one's own.
MD5 = re.compile(r'"?([0-9a-f]{32})"?')
FETCHED_AGAIN = 3
CHECKED_WHEN_DECODED = ("gzip", "xz", "bzip2")
# Encodings of the transport, not of the object.
NO_ENCODING = ("", "identity", "aws-chunked")


class ObjectStore:
    """The objects below one prefix of a bucket, or one path of a web server, which can only be read."""

    def __init__(self, location: Location, compares_all: bool = False) -> None:
        self.url = location.url
        self._location = location
        self._client = bucket_client(location)
        self._root = f"{location.key}/" if location.key else ""
        self._compares_all = compares_all
        self._names_are_digests = True

    def _call(self, action: str, key: str, request: Callable[[], T]) -> T | None:
        return self._client.call(action, self._root + key, request)

    def exact(self) -> Store:
        return ObjectStore(self._location, compares_all=True)

    def get(self, key: str) -> Blob | None:
        return self._call("read", key, lambda: self._get(key))

    def _get(self, key: str) -> Blob:
        blob, name = self._fetched(key)
        unchecked = self._compares_all or blob.encoding not in CHECKED_WHEN_DECODED
        if unchecked and self._names_are_digests and not _matches(blob, name):
            return self._fetched_again(key, blob)
        return blob

    def _fetched_again(self, key: str, blob: Blob) -> Blob:
        """An object whose bytes are not those that its name speaks of; the name is wrong if they stay the same."""
        for _ in range(FETCHED_AGAIN):
            again, name = self._fetched(key)
            if _matches(again, name):
                return again
            if again != blob:
                raise ConnectionError("kind: Interrupted: other bytes came than the store has")
        self._names_are_digests = False
        return blob

    def _fetched(self, key: str) -> tuple[Blob, str]:
        """An object, and the name that the store gives to its bytes."""
        import obstore
        from obstore.exceptions import GenericError

        try:
            answer = obstore.get(self._client.reads, self._root + key)
        except GenericError as error:
            if "MissingContentLength" not in str(error):
                raise
            answer = obstore.get(self._client.other_reads, self._root + key)
        said = answer.attributes
        _refuse_page(str(said.get("Content-Type", "")), key)
        data = answer.bytes().to_bytes()
        if len(data) != answer.meta["size"]:
            raise ConnectionError(f"kind: Interrupted: {len(data)} bytes of {answer.meta['size']}")
        blob = Blob(data, _encoding(str(said.get("Content-Encoding", ""))))
        return blob, answer.meta["e_tag"] or ""

    def get_range(self, key: str, start: int, stop: int) -> bytes | None:
        if stop <= start:
            return b"" if self.exists(key) else None
        return self._call("read", key, lambda: self._get_range(key, start, stop))

    def _get_range(self, key: str, start: int, stop: int) -> bytes:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.get_range(self._client.reads, self._root + key, start=start, end=stop).to_bytes()
        except BaseError as error:
            # Behind the end, or a server that has no ranges: both answer when asked for everything.
            text = str(error)
            if not any(sign in text for sign in ("NotPartial", "RangeNotSupported", "status: 416", "Range")):
                raise
            return bytes(self._get(key).data[start:stop])

    def put(self, key: str, blob: Blob, content_type: str = OCTETS, durable: bool = False) -> None:
        self._check_writable()
        caching = "no-cache" if content_type == DOCUMENT else self._location.options.cache_control
        attributes = {"Content-Type": content_type, "Cache-Control": caching, "Content-Encoding": blob.encoding}
        said = {name: value for name, value in attributes.items() if value}
        put = self._put_parts if len(blob.data) > PART_BYTES else self._put
        self._call("write", key, lambda: put(key, blob, said))

    def _put(self, key: str, blob: Blob, attributes: dict[str, str]) -> None:
        import obstore

        answer = obstore.put(
            self._client.writes, self._root + key, blob.data, attributes=attributes, use_multipart=False
        )
        self._check_stored(key, blob, answer["e_tag"] or "")

    def _put_parts(self, key: str, blob: Blob, attributes: dict[str, str]) -> None:
        import obstore

        obstore.put(
            self._client.multipart,
            self._root + key,
            blob.data,
            attributes=attributes,
            chunk_size=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
        )

    def _check_stored(self, key: str, blob: Blob, name: str) -> None:
        """Raise where the store has other bytes than were sent, as far as the name that it gave them tells."""
        if self._names_are_digests and not _matches(blob, name):
            if bytes(self._fetched(key)[0].data) != bytes(blob.data):
                raise ConnectionError("kind: Interrupted: the store has other bytes than were sent")
            self._names_are_digests = False

    def create(self, key: str, data: Buffer) -> bool:
        self._check_writable()
        tries = count(1)
        return bool(self._call("write", key, lambda: self._create(key, data, next(tries))))

    def _create(self, key: str, data: Buffer, number: int) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

        attributes = {"Content-Type": DOCUMENT, "Cache-Control": "no-cache"}
        try:
            obstore.put(self._client.writes, self._root + key, data, attributes=attributes, mode="create")
        except (AlreadyExistsError, PreconditionError):
            # Perhaps by ourselves: the answer to the try before may have been lost on the way.
            return number > 1 and bytes(self._fetched(key)[0].data) == bytes(data)
        except NotSupportedError:
            # A server without conditional writes: whoever comes at the same moment is not noticed.
            with suppress(FileNotFoundError):
                obstore.head(self._client.reads, self._root + key)
                return False
            self._put(key, Blob(data), attributes)
        return True

    def delete(self, key: str) -> None:
        self._check_writable()
        self._call("delete", key, lambda: self._delete(key))

    def _delete(self, keys: str | Sequence[str]) -> None:
        import obstore

        paths = self._root + keys if isinstance(keys, str) else [self._root + key for key in keys]
        obstore.delete(self._client.writes, paths)

    def delete_all(self, keys: Iterable[str]) -> None:
        self._check_writable()
        pending = list(keys)
        for first in range(0, len(pending), KEYS_AT_ONCE):
            some = pending[first : first + KEYS_AT_ONCE]
            self._call("delete", some[0], partial(self._delete, some if len(some) > 1 else some[0]))

    def exists(self, key: str) -> bool:
        return self._size(key) is not None

    def _size(self, key: str) -> int | None:
        import obstore

        found = self._call("read", key, lambda: obstore.head(self._client.reads, self._root + key))
        return None if found is None else found["size"]

    def list(self, prefix: str = "") -> Iterator[str]:
        if self._location.is_server:
            raise WrongPlaceError(f"{self.url}: what a web server has cannot be listed")
        page = self._call("list", prefix, lambda: self._page(prefix, None))
        while page:
            yield from (key for key in (path.removeprefix(self._root) for path in page) if key.startswith(prefix))
            if len(page) < KEYS_AT_ONCE:
                return  # The client fills all pages but the last.
            page = self._call("list", prefix, partial(self._page, prefix, page[-1]))

    def _page(self, prefix: str, last: str | None) -> Sequence[str]:
        """The paths of up to a thousand objects behind ``last``, in order."""
        import obstore

        # The client's prefixes end at a slash.
        folder = (self._root + prefix).rpartition("/")[0]
        stream = obstore.list(self._client.reads, folder or None, offset=last, chunk_size=KEYS_AT_ONCE)
        return sorted(found["path"] for found in next(iter(stream), []))

    def copy(self, source: Store, source_key: str, key: str) -> int | None:
        """See :class:`Store`."""
        import obstore

        if not self.copies_from(source):
            raise StorageError(f"{self.url} and {source.url} are not in one bucket")
        assert isinstance(source, ObjectStore)
        size = source._size(source_key)
        if size is None:
            return None
        place = source._root + source_key
        self._call("write", key, lambda: obstore.copy(self._client.writes, place, self._root + key))
        return size

    def copies_from(self, source: Store) -> bool:
        return isinstance(source, ObjectStore) and source._client is self._client

    def reach(self) -> None:
        if not self._location.is_server:
            self._call("list", "", lambda: self._page("", None))

    def flush(self) -> None:
        """What a bucket has taken is safe."""

    def sweep(self) -> int:
        return 0

    def _check_writable(self) -> None:
        if self._location.is_server:
            raise ReadOnlyException(f"{self.url}: a web server can only be read; write to file://, s3:// or gs://")


def _matches(blob: Blob, name: str) -> bool:
    """Whether the bytes can be those that a store gave a name to."""
    digest = MD5.fullmatch(name)
    return digest is None or hashlib.md5(blob.data, usedforsecurity=False).hexdigest() == digest[1]


def _encoding(header: str) -> str:
    """Content-Encoding without what the transport added to it."""
    parts = [part.strip().lower() for part in header.split(",")]
    return ",".join(part for part in parts if part not in NO_ENCODING)


def _refuse_page(content_type: str, key: str) -> None:
    if content_type.startswith("text/html") and not key.endswith((".html", ".htm")):
        raise WebPageError(f"WebPage in the place of {key}")
