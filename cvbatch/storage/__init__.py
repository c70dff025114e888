"""Stores: bytes under keys below one URL."""

from cvbatch.storage.base import Blob, Buffer, Store, leaves
from cvbatch.storage.local import LocalStore
from cvbatch.storage.open import credentials_of, open_store
from cvbatch.storage.options import StoreOptions
from cvbatch.storage.url import Location, parse_location

__all__ = [
    "Blob",
    "Buffer",
    "LocalStore",
    "Location",
    "Store",
    "StoreOptions",
    "credentials_of",
    "leaves",
    "open_store",
    "parse_location",
]
