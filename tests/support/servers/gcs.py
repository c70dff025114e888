"""A stub of Google Cloud Storage, no emulator on PyPI speaks this API.

That of ``gcp-storage-emulator`` is the JSON API; of the XML API, which ``object_store`` uses, it has neither listing
nor deleting. This one has what ``object_store`` asks for: get with ranges, head, put, delete, copy, list, and uploads
in parts, and preconditions on generations. It was written from the documentation of the XML API and from what that
client sends, and proves nothing about Google's own servers.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from time import gmtime, strftime, time
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from .base import Handler, HttpServer
from .web import byte_range

MOST_KEYS = 1000
_KEPT = ("content-type", "content-encoding", "content-disposition", "content-language", "cache-control")


@dataclass(frozen=True)
class GcsObject:
    """The bytes as they were stored, and the headers that are kept, with names in lower case."""

    data: bytes
    headers: Mapping[str, str]
    generation: int
    modified: float = field(default_factory=time)

    @property
    def etag(self) -> str:
        """The MD5 of the bytes, in quotes."""
        return f'"{hashlib.md5(self.data).hexdigest()}"'


@dataclass
class GcsStub:
    """Buckets with their objects by key, and what was asked: method and path with query.

    ``transcode`` is what Google does with objects stored as gzip, unless they have a Cache-Control of no-transform:
    a client that doesn't send ``Accept-Encoding: gzip`` gets them decompressed, whole, and without
    Content-Length and ETag. Over HTTP 1.1 it also sends large objects stored as gzip without a Content-Length to
    clients that take them as they are, here from ``stream_gzip_from_nbytes`` on.
    See https://cloud.google.com/storage/docs/transcoding, and issue 774 of apache/arrow-rs-object-store.
    """

    buckets: dict[str, dict[str, GcsObject]]
    transcode: bool = True
    most_keys: int = MOST_KEYS
    stream_gzip_from_nbytes: int | None = None
    url: str = ""
    log: list[tuple[str, str]] = field(default_factory=list)
    uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(int(time() * 1e6)))

    @property
    def service_account_key(self) -> str:
        """The JSON that leads ``GCSStore(bucket, service_account_key=...)`` here, without tokens."""
        account = {"gcs_base_url": self.url, "disable_oauth": True}
        return json.dumps({**account, "client_email": "", "private_key": "", "private_key_id": ""})


@contextlib.contextmanager
def gcs_stub(*buckets: str, transcode: bool = True, most_keys: int = MOST_KEYS) -> Iterator[GcsStub]:
    """Serve empty buckets, which are kept in memory; a page of a list has ``most_keys`` at most."""
    stub = GcsStub({name: {} for name in buckets}, transcode, most_keys)
    server = HttpServer(type("GcsHandler", (_GcsHandler,), {"stub": stub}))
    stub.url = server.url
    server.start()
    try:
        yield stub
    finally:
        server.stop()


class _Refusal(Exception):  # noqa: N818
    """A request is answered with an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class _GcsHandler(Handler):
    """One connection of a client."""

    stub: GcsStub

    def handle_request(self) -> None:
        path, _, query = self.path.partition("?")
        bucket, _, key = path.lstrip("/").partition("/")
        self.key = unquote(key)
        self.query = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        body = self.request_body()
        try:
            with self.stub.lock:
                self.stub.log.append((self.command, self.path))
                if unquote(bucket) not in self.stub.buckets:
                    raise _Refusal(404, "NoSuchBucket")
                self.objects = self.stub.buckets[unquote(bucket)]
                answer = self._answer_of(body)
        except _Refusal as error:
            xml = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{error.code}</Code></Error>"
            answer = error.status, {"Content-Type": "application/xml"}, xml.encode()
        self.answer(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

    def _answer_of(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.command == "POST" or "uploadId" in self.query:
            return self._upload(body)
        if self.command == "PUT":
            return 200, self._put(self._copied() or self._sent(body)), b""
        if self.command == "DELETE":
            self._existing(self.key)
            del self.objects[self.key]
            return 204, {}, b""
        return self._get() if self.key else self._list()

    def _existing(self, key: str) -> GcsObject:
        if key not in self.objects:
            raise _Refusal(404, "NoSuchKey")
        return self.objects[key]

    def _sent(self, body: bytes) -> GcsObject:
        return GcsObject(body, self._kept_headers(), next(self.stub.generations))

    def _kept_headers(self) -> dict[str, str]:
        sent = {name.lower(): value for name, value in self.headers.items()}
        return {name: value for name, value in sent.items() if name in _KEPT or name.startswith("x-goog-meta-")}

    def _copied(self) -> GcsObject | None:
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            return None
        bucket, _, key = unquote(source).lstrip("/").partition("/")
        found = self.stub.buckets.get(bucket, {}).get(key)
        if found is None:
            raise _Refusal(404, "NoSuchKey")
        return GcsObject(found.data, found.headers, next(self.stub.generations))

    def _put(self, new: GcsObject) -> dict[str, str]:
        expected = self.headers.get("x-goog-if-generation-match")
        old = self.objects.get(self.key)
        if expected is not None and int(expected) != (old.generation if old else 0):
            raise _Refusal(412, "PreconditionFailed")
        self.objects[self.key] = new
        return {"ETag": new.etag, "x-goog-generation": str(new.generation)}

    def _get(self) -> tuple[int, dict[str, str], bytes]:
        found = self._existing(self.key)
        if self.headers.get("If-None-Match") == found.etag:
            return 304, {"ETag": found.etag}, b""
        md5 = base64.b64encode(hashlib.md5(found.data).digest()).decode()
        headers = {
            **found.headers,
            "ETag": found.etag,
            "Last-Modified": formatdate(found.modified, usegmt=True),
            "x-goog-generation": str(found.generation),
            "x-goog-hash": f"md5={md5}",
            "x-goog-stored-content-encoding": found.headers.get("content-encoding", "identity"),
            "x-goog-stored-content-length": str(len(found.data)),
        }
        zipped = found.headers.get("content-encoding") == "gzip"
        if zipped and self._transcodes(found):
            del headers["content-encoding"], headers["ETag"]
            headers["Warning"] = "214 UploadServer gunzipped"
            return _streamed(headers, gzip.decompress(found.data))
        wanted = self.headers.get("Range")
        part = None if wanted is None else byte_range(wanted, len(found.data))
        if part is None:
            least = self.stub.stream_gzip_from_nbytes
            streams = zipped and least is not None and len(found.data) >= least
            return _streamed(headers, found.data) if streams else (200, headers, found.data)
        if len(part) == 0:
            raise _Refusal(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(found.data)}"
        return 206, headers, found.data[part.start : part.stop]

    def _transcodes(self, found: GcsObject) -> bool:
        return (
            self.stub.transcode
            and "no-transform" not in found.headers.get("cache-control", "")
            and "gzip" not in self.headers.get("Accept-Encoding", "")
        )

    def _list(self) -> tuple[int, dict[str, str], bytes]:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        most = min(int(self.query.get("max-keys", MOST_KEYS)), self.stub.most_keys)
        # A key that is below a common prefix counts as that prefix, which comes once and may end a page.
        entries = dict.fromkeys(
            _entry(key, prefix, delimiter) for key in sorted(self.objects) if key.startswith(prefix)
        )
        rest = [entry for entry in entries if entry > after]
        page, more = rest[:most], len(rest) > most
        xml = [f"<IsTruncated>{str(more).lower()}</IsTruncated>", f"<KeyCount>{len(page)}</KeyCount>"]
        if more:
            xml.append(f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>")
        for entry in page:
            if delimiter and entry.endswith(delimiter) and entry not in self.objects:
                xml.append(f"<CommonPrefixes><Prefix>{escape(entry)}</Prefix></CommonPrefixes>")
            else:
                xml.append(_contents(entry, self.objects[entry]))
        return 200, {"Content-Type": "application/xml"}, _document("ListBucketResult", "".join(xml))

    def _upload(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "uploads" in self.query:
            upload = f"upload-{next(self.stub.generations)}"
            self.stub.uploads[upload] = (self._kept_headers(), {})
            return 200, {}, _document("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        if self.query.get("uploadId") not in self.stub.uploads:
            raise _Refusal(404, "NoSuchUpload")
        headers, parts = self.stub.uploads[self.query["uploadId"]]
        if self.command == "PUT":
            parts[int(self.query["partNumber"])] = body
            return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""
        del self.stub.uploads[self.query["uploadId"]]
        if self.command == "DELETE":
            return 204, {}, b""
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)<", body)]
        data = b"".join(parts[number] for number in numbers)
        stored = self._put(GcsObject(data, headers, next(self.stub.generations)))
        return 200, stored, _document("CompleteMultipartUploadResult", f"<ETag>{escape(stored['ETag'])}</ETag>")


def _streamed(headers: dict[str, str], data: bytes) -> tuple[int, dict[str, str], bytes]:
    """An answer in one chunk, without its length."""
    chunk = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
    return 200, {**headers, "Transfer-Encoding": "chunked"}, chunk + b"0\r\n\r\n"


def _entry(key: str, prefix: str, delimiter: str) -> str:
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return key if end < 0 else key[: end + len(delimiter)]


def _contents(key: str, found: GcsObject) -> str:
    modified = strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(found.modified))
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>{escape(found.etag)}</ETag><Size>{len(found.data)}</Size></Contents>"
    )


def _document(root: str, content: str) -> bytes:
    return f"<?xml version='1.0' encoding='UTF-8'?><{root}>{content}</{root}>".encode()
