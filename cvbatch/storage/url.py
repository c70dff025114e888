"""Paths of volumes, in CloudVolume's syntax."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlsplit

from cvbatch.errors import UnsupportedFormatError, UnsupportedProtocolError
from cvbatch.storage.options import StoreOptions

OTHER_FORMATS = ("graphene", "n5", "boss", "zarr", "zarr2", "zarr3")
BUCKETS = ("s3", "gs")
SERVERS = ("http", "https")
PROTOCOLS = ("file", "mem", *BUCKETS, *SERVERS)
# A web server that wants the token of CAVE: ``middleauth+https://``.
MIDDLEAUTH = "middleauth"
# How Neuroglancer's own syntax says the format, behind the path.
FORMAT_SUFFIX = re.compile(r"\|([\w-]+):$")
PRECOMPUTED = ("neuroglancer-precomputed", "precomputed")
# What the path of a web address has as it is; the rest is written as %20.
PLAIN = "/!$&'()*+,;=:@|"
# Where the objects of a bucket can be read by HTTPS.
PUBLIC_HOSTS = {"gs": "https://storage.googleapis.com", "s3": "https://s3.amazonaws.com"}


@dataclass(frozen=True)
class Location:
    """Where a volume is.

    ``path`` is absolute for ``file`` and ``bucket/key`` for ``s3`` and ``gs``, without slash at the end; of a web
    address it has a space where the URL has %20. ``endpoint`` is the server (``https://host:port``) of ``http``,
    ``https``, and of an ``s3`` that isn't Amazon's; ``alias`` the name that cloud-files has for such a
    server. ``options`` say how it is reached: two locations are one place without them.
    """

    protocol: str
    path: str
    endpoint: str = ""
    alias: str = ""
    options: StoreOptions = field(default=StoreOptions(), compare=False)

    @property
    def url(self) -> str:
        if self.is_server:
            before = f"{self.alias}+" if self.alias else ""
            return f"{before}{self.endpoint}/{quote(self.path, PLAIN)}".rstrip("/")
        if self.alias:
            return f"{self.alias}://{self.path}"
        server = f"{self.endpoint}/" if self.endpoint else ""
        return f"{self.protocol}://{server}{self.path}"

    @property
    def bucket(self) -> str:
        """The bucket of ``s3`` and ``gs``, the host of ``http``."""
        return urlsplit(self.endpoint).netloc if self.is_server else self.path.partition("/")[0]

    @property
    def key(self) -> str:
        """The path inside the bucket or server."""
        return self.path if self.is_server else self.path.partition("/")[2]

    @property
    def is_remote(self) -> bool:
        """Whether it is reached by way of a network."""
        return self.protocol not in ("file", "mem")

    @property
    def is_server(self) -> bool:
        """Whether it is a web server, which can only be read."""
        return self.protocol in SERVERS

    def same_place(self, other: Location) -> bool:
        """Whether both are one folder, links resolved, or one prefix of a bucket."""
        if self.protocol == other.protocol == "file":
            return os.path.realpath(self.path) == os.path.realpath(other.path)
        return replace(self, alias="") == replace(other, alias="")

    def below(self, *parts: str) -> Location:
        above = [self.path] if self.path or not self.is_server else []
        return replace(self, path="/".join([*above, *parts]))


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
    rest = _without_format(url)
    match = re.match(r"([\w+.-]+)://(.*)$", rest, re.DOTALL)
    protocol, path = match.groups() if match else ("file", rest)
    alias = endpoint = ""
    if protocol == f"{MIDDLEAUTH}+https":
        alias, protocol, rest = MIDDLEAUTH, "https", rest.removeprefix(f"{MIDDLEAUTH}+")
    if protocol not in PROTOCOLS:
        alias, endpoint, protocol = protocol, _server_of_alias(protocol, url), "s3"
    elif protocol in SERVERS:
        endpoint, path = _split_server(rest)
        path = _without_percents(path, endpoint)
    elif protocol == "s3" and re.match(r"https?://", path):
        endpoint, path = _split_server(path)
    path = _absolute(path) if protocol == "file" else _clean(path, url)
    if not path.strip("/") and protocol not in SERVERS:
        raise UnsupportedProtocolError(f"{url!r}: the path is empty; write for example file://data/em")
    if protocol in BUCKETS and options.endpoint and not endpoint:
        endpoint = _server_of_option(options.endpoint, protocol)
    place = Location(protocol, path.rstrip("/"), endpoint, alias, options)
    return _by_https(place) if options.use_https and protocol in BUCKETS else place


def _without_format(url: str) -> str:
    """A URL without the words that say that it is of a Precomputed volume, as it must be."""
    rest = url.strip().removeprefix("precomputed://")
    if re.search(r"https?://[^/]*@", rest):
        raise UnsupportedProtocolError("a URL must not have a user or password in it; give them as secrets")
    suffix, protocol = FORMAT_SUFFIX.search(rest), rest.partition("://")[0] if "://" in rest else ""
    other = suffix[1] if suffix and suffix[1] not in PRECOMPUTED else protocol
    if other in OTHER_FORMATS or other != protocol:
        raise UnsupportedFormatError(f"{url}: {other} volumes cannot be read; give a Precomputed one")
    return FORMAT_SUFFIX.sub("", rest)


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path.strip("/") else ""


def _without_percents(path: str, endpoint: str) -> str:
    """The path of a web address, as the server's folders are called."""
    if "?" in path or "#" in path:
        raise UnsupportedProtocolError(f"{endpoint}: a volume's URL has no ? and # in it; write %3F and %23")
    return unquote(path)


def _split_server(url: str) -> tuple[str, str]:
    """``https://host:port`` and the path behind it."""
    scheme, _, rest = url.partition("://")
    server, _, path = rest.partition("/")
    endpoint = f"{scheme}://{server}"
    if scheme not in SERVERS or not _is_server(endpoint):
        raise UnsupportedProtocolError(f"{url!r} names no server; write for example https://example.org/em")
    return endpoint, path


def _is_server(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        return False


def _server_of_option(endpoint: str, protocol: str) -> str:
    if protocol != "s3":
        raise UnsupportedProtocolError(f"endpoint is for s3://; of {protocol}:// there is one server")
    if "@" in endpoint:
        raise UnsupportedProtocolError("endpoint must not have a user or password in it; give them as secrets")
    server, path = _split_server(endpoint.strip())
    if path.strip("/"):
        raise UnsupportedProtocolError(f"endpoint {endpoint!r} has a path; it must be like https://example.org:9000")
    return server


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
    servers = {name: host for name, host in paths.ALIASES.items() if re.fullmatch(r"s3://https?://[^/]+/*", host)}
    if alias not in servers:
        known = ", ".join(f"{name}://" for name in [*PROTOCOLS, *servers])
        raise UnsupportedProtocolError(f"{url}: no store for {alias}://; there are {known}")
    return str(servers[alias]).removeprefix("s3://").rstrip("/")
