"""``provenance``: where a volume comes from and what was done to it, as CloudVolume writes it."""

from __future__ import annotations

from typing import Any

from cvbatch.errors import ProvenanceError
from cvbatch.formats.precomputed.document import read_document, write_document
from cvbatch.storage import Store


def read_provenance(store: Store) -> dict[str, Any]:
    """The document at a store with all its members; an empty one where there is none."""
    empty: dict[str, Any] = {"description": "", "owners": [], "processing": [], "sources": []}
    try:
        document = read_document(store, "provenance")
    except ValueError as error:
        raise ProvenanceError(f"{error}; mend or remove it") from error
    if document is None:
        return empty
    lists = ("processing", "sources")
    if not isinstance(document, dict) or not all(isinstance(document.get(name, []), list) for name in lists):
        raise ProvenanceError(
            f"{store.url}/provenance is not an object with lists {' and '.join(lists)}; mend or remove it"
        )
    return {**empty, **document}


def was_processed(store: Store, job: str) -> bool:
    """Whether there is an entry of a job (``method.job``)."""
    return _has_entry(read_provenance(store), job)


def _has_entry(document: dict[str, Any], job: str) -> bool:
    methods = [done.get("method") for done in document["processing"] if isinstance(done, dict)]
    return any(isinstance(method, dict) and method.get("job") == job for method in methods)


def add_processing(store: Store, entry: dict[str, Any], source: str) -> bool:
    """Append what was done, once for each job (``entry["method"]["job"]``); whether anything was written."""
    document = read_provenance(store)
    if _has_entry(document, entry["method"]["job"]):
        return False
    document["processing"] = [*document["processing"], entry]
    if source not in document["sources"]:
        document["sources"] = [*document["sources"], source]
    write_document(store, "provenance", document)
    return True
