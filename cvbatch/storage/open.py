"""From a location to its store."""

from __future__ import annotations

from cvbatch.storage.base import Store
from cvbatch.storage.credentials import Credentials
from cvbatch.storage.local import LocalStore
from cvbatch.storage.mem import MemoryStore
from cvbatch.storage.url import Location, parse_location


def credentials_of(location: Location) -> Credentials:
    """Who asks at a bucket or server. Raises :class:`~cvbatch.errors.AuthenticationError`."""
    from cvbatch.storage.clients import bucket_client

    return bucket_client(location).credentials


def open_store(location: Location | str) -> Store:
    """The store at a location or URL. Nothing is read or written."""
    place = parse_location(location) if isinstance(location, str) else location
    if place.protocol == "mem":
        return MemoryStore(place.path)
    if place.protocol == "file":
        return LocalStore(place.path)
    # Buckets bring a client of their own, which local volumes do without.
    from cvbatch.storage.bucket import ObjectStore

    return ObjectStore(place)
