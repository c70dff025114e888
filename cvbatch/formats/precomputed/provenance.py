"""``provenance``: where a volume comes from and what was done to it, as CloudVolume writes it."""

from __future__ import annotations

import json
from typing import Any

from cvbatch.codecs import decompress
from cvbatch.errors import DecodingError, StateError
from cvbatch.storage import Blob, Store

LARGEST_PROVENANCE = 64 << 20


def read_provenance(store: Store) -> dict[str, Any]:
    """The document at a store with all its members; an empty one where there is none."""
    empty: dict[str, Any] = {"description": "", "owners": [], "processing": [], "sources": []}
    blob = store.get("provenance")
    if blob is None:
        return empty
    try:
        document = json.loads(bytes(decompress(blob.data, blob.encoding, LARGEST_PROVENANCE)))
    except (ValueError, RecursionError, DecodingError) as error:
        raise StateError(f"{store.url}/provenance is not JSON: {error}; mend or remove it") from error
    lists = ("processing", "sources")
    if not isinstance(document, dict) or not all(isinstance(document.get(name, []), list) for name in lists):
        raise StateError(f"{store.url}/provenance is not an object with lists {' and '.join(lists)}; mend or remove it")
    return {**empty, **document}


def add_processing(store: Store, entry: dict[str, Any], source: str) -> bool:
    """Append what was done, once for each job (``entry["method"]["job"]``); whether anything was written."""
    document = read_provenance(store)
    job = entry["method"]["job"]
    methods = [done.get("method") for done in document["processing"] if isinstance(done, dict)]
    if any(isinstance(method, dict) and method.get("job") == job for method in methods):
        return False
    document["processing"] = [*document["processing"], entry]
    if source not in document["sources"]:
        document["sources"] = [*document["sources"], source]
    store.put(
        "provenance", Blob(json.dumps(document, indent=2).encode()), content_type="application/json", durable=True
    )
    return True
