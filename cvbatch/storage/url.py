"""Paths of volumes, in CloudVolume's syntax."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from cvbatch.errors import UnsupportedFormatError, UnsupportedProtocolError
from cvbatch.storage.options import StoreOptions

OTHER_FORMATS = ("graphene", "n5", "boss", "zarr", "zarr2", "zarr3")
BUCKETS = ("s3", "gs")
SERVERS = ("http", "https")
PROTOCOLS = ("file", "mem", *BUCKETS, *SERVERS)
# How Neuroglancer's own syntax says it, behind the path.
FORMAT_SUFFIX = "|neuroglancer-precomputed:"
# Where the objects of a bucket can be read by HTTPS.
PUBLIC_HOSTS = {"gs": "https://storage.googleapis.com", "s3": "https://s3.amazonaws.com"}


@dataclass(frozen=True)
class Location:
    """Where a volume is.

    ``path`` is absolute for ``file`` and ``bucket/key`` for ``s3`` and ``gs``, without slash at the end. ``endpoint``
    is the server (``https://host:port``) of ``http``, ``https``, and of an ``s3`` that isn't Amazon's; ``alias`` the
    name that cloud-files has for that server. ``options`` say how it is reached: two locations are one place
    without them.
    """

    protocol: str
    path: str
    endpoint: str = ""
    alias: str = ""
    options: StoreOptions = field(default=StoreOptions(), compare=False)

    @property
    def url(self) -> str:
        if self.protocol in SERVERS:
            return f"{self.endpoint}/{self.path}".rstrip("/")
        if self.alias:
            return f"{self.alias}://{self.path}"
        server = f"{self.endpoint}/" if self.endpoint else ""
        return f"{self.protocol}://{server}{self.path}"

    @property
    def bucket(self) -> str:
        """The bucket of ``s3`` and ``gs``, the host of ``http``."""
        return urlsplit(self.endpoint).netloc if self.protocol in SERVERS else self.path.partition("/")[0]

    @property
    def key(self) -> str:
        """The path inside the bucket or server."""
        return self.path if self.protocol in SERVERS else self.path.partition("/")[2]

    @property
    def is_remote(self) -> bool:
        """Whether it is reached by way of a network."""
        return self.protocol not in ("file", "mem")

    def same_place(self, other: Location) -> bool:
        """Whether both are one folder, links resolved, or one prefix of a bucket."""
        if self.protocol == other.protocol == "file":
            return os.path.realpath(self.path) == os.path.realpath(other.path)
        return replace(self, alias="") == replace(other, alias="")

    def below(self, *parts: str) -> Location:
        return replace(self, path="/".join([self.path, *parts]))


def parse_location(url: str, options: StoreOptions | None = None) -> Location:
    """The location that a URL or a bare local path names.

    >>> parse_location("precomputed://mem://em/").url
    'mem://em'
    >>> place = parse_location("s3://https://s3.example.org/bucket/em")
    >>> place.endpoint, place.bucket, place.key
    ('https://s3.example.org', 'bucket', 'em')

    ``options.endpoint`` is the server where the URL names none, and ``options.use_https`` makes ``gs://`` and
    ``s3://`` the HTTPS address of the same objects, which can only be read. Raises :class:`UnsupportedFormatError`
    for layers other than Precomputed ones and :class:`UnsupportedProtocolError` for protocols without a store.
    """
    options = options or StoreOptions()
    rest = url.strip().removeprefix("precomputed://").removesuffix(FORMAT_SUFFIX)
    match = re.match(r"([\w+]+)://(.*)$", rest, re.DOTALL)
    protocol, path = match.groups() if match else ("file", rest)
    if protocol in OTHER_FORMATS:
        raise UnsupportedFormatError(f"{url}: {protocol} volumes cannot be read; give a Precomputed one")
    alias = endpoint = ""
    if protocol not in PROTOCOLS:
        alias, endpoint, protocol = protocol, _server_of_alias(protocol, url), "s3"
    elif protocol in SERVERS:
        endpoint, path = _split_server(rest)
    elif protocol == "s3" and re.match(r"https?://", path):
        endpoint, path = _split_server(path)
    if not path.strip("/") and protocol not in SERVERS:
        raise UnsupportedProtocolError(f"{url!r}: the path is empty; write for example file://data/em")
    path = os.path.abspath(os.path.expanduser(path)) if protocol == "file" else _clean(path, url)
    if protocol in BUCKETS and options.endpoint and not endpoint:
        endpoint = options.endpoint.rstrip("/")
    place = Location(protocol, path.rstrip("/"), endpoint, alias, options)
    return _by_https(place) if options.use_https and protocol in BUCKETS else place


def _split_server(url: str) -> tuple[str, str]:
    """``https://host:port`` and the path behind it."""
    parts = urlsplit(url)
    if not parts.netloc:
        raise UnsupportedProtocolError(f"{url!r} names no server; write for example https://example.org/em")
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")


def _clean(path: str, url: str) -> str:
    """A path of a bucket or server, whose parts can all be names of keys."""
    parts = path.strip("/").split("/")
    if any(part in (".", "..") for part in parts):
        raise UnsupportedProtocolError(f"{url}: keys of objects have no . and .. in them")
    return "/".join(part for part in parts if part)


def _by_https(place: Location) -> Location:
    server = place.endpoint or PUBLIC_HOSTS[place.protocol]
    return Location(urlsplit(server).scheme, place.path, server, "", place.options)


def _server_of_alias(alias: str, url: str) -> str:
    """The S3 server that cloud-files knows under a name (``matrix``, ``tigerdata``, or the user's own)."""
    # Seldom, and it takes most of a second.
    from cloudfiles import paths

    paths.update_aliases_from_file()
    found = paths.ALIASES.get(alias)
    if found is None or not found.startswith("s3://http"):
        known = ", ".join(f"{name}://" for name in [*PROTOCOLS, *paths.ALIASES])
        raise UnsupportedProtocolError(f"{url}: no store for {alias}://; there are {known}")
    return str(found).removeprefix("s3://").rstrip("/")
