"""Stores: bytes under keys below one URL."""

from cvbatch.storage.base import Blob, Store
from cvbatch.storage.open import open_store
from cvbatch.storage.url import Location, parse_location

__all__ = ["Blob", "Location", "Store", "open_store", "parse_location"]
