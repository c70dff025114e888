"""Paths of volumes, in CloudVolume's syntax."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from cvbatch.errors import UnsupportedFormatError, UnsupportedProtocolError

OTHER_FORMATS = ("graphene", "n5", "boss", "zarr", "zarr2", "zarr3")
PROTOCOLS = ("file", "mem")


@dataclass(frozen=True)
class Location:
    """Where a volume is: ``protocol`` and ``path`` (absolute for ``file``, without slash at the end)."""

    protocol: str
    path: str

    @property
    def url(self) -> str:
        return f"{self.protocol}://{self.path}"

    def same_place(self, other: Location) -> bool:
        """Whether both are one folder, links resolved."""
        if self.protocol == other.protocol == "file":
            return os.path.realpath(self.path) == os.path.realpath(other.path)
        return self == other

    def below(self, *parts: str) -> Location:
        return Location(self.protocol, "/".join([self.path, *parts]))


def parse_location(url: str) -> Location:
    """The location that a URL or a bare local path names.

    >>> parse_location("precomputed://mem://em/").url
    'mem://em'

    Raises :class:`UnsupportedFormatError` for layers other than Precomputed ones and
    :class:`UnsupportedProtocolError` for protocols without a store.
    """
    rest = url.strip().removeprefix("precomputed://")
    match = re.match(r"(\w+)://(.*)$", rest)
    protocol, path = match.groups() if match else ("file", rest)
    if protocol in OTHER_FORMATS:
        raise UnsupportedFormatError(f"{url}: {protocol} volumes cannot be read; give a Precomputed one")
    if protocol not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in PROTOCOLS)
        raise UnsupportedProtocolError(f"{url}: no store for {protocol}://; this version has {known}")
    if not path.strip("/"):
        raise UnsupportedProtocolError(f"{url!r}: the path is empty; write for example file://data/em")
    if protocol == "file":
        path = os.path.abspath(os.path.expanduser(path))
    return Location(protocol, path.rstrip("/"))
