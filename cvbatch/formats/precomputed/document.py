"""JSON documents beside the chunks of a volume."""

from __future__ import annotations

import json

from cvbatch.codecs import decompress
from cvbatch.errors import DecodingError
from cvbatch.storage import Blob, Store

LARGEST_DOCUMENT = 64 << 20


def read_document(store: Store, key: str) -> object | None:
    """The document under a key, None where there is none. Raises ValueError for what is not JSON, or is null."""
    blob = store.get(key)
    if blob is None:
        return None
    try:
        document: object = json.loads(bytes(decompress(blob.data, blob.encoding, LARGEST_DOCUMENT)))
    except (ValueError, RecursionError, DecodingError) as error:
        raise ValueError(f"{store.url}/{key} is not JSON: {error}") from error
    if document is None:
        raise ValueError(f"{store.url}/{key} holds null")
    return document


def write_document(store: Store, key: str, document: object) -> None:
    """Write a document, readable, and return when it is safe."""
    text = json.dumps(document, indent=2)
    store.put(key, Blob(text.encode()), content_type="application/json", durable=True)
