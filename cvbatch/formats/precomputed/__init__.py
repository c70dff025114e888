"""Neuroglancer's Precomputed format: ``info``, ``provenance`` and chunks."""

from cvbatch.formats.precomputed.chunks import Cell, ChunkStore, copier, layout_of, objects_in, open_chunks
from cvbatch.formats.precomputed.document import write_document
from cvbatch.formats.precomputed.info import (
    info_to_json,
    parse_info,
    read_info,
    read_info_document,
    require_info,
    write_info,
)
from cvbatch.formats.precomputed.listing import Listing, list_objects
from cvbatch.formats.precomputed.provenance import add_processing, read_provenance, was_processed

__all__ = [
    "Cell",
    "ChunkStore",
    "Listing",
    "add_processing",
    "copier",
    "info_to_json",
    "layout_of",
    "list_objects",
    "objects_in",
    "open_chunks",
    "parse_info",
    "read_info",
    "read_info_document",
    "read_provenance",
    "require_info",
    "was_processed",
    "write_document",
    "write_info",
]
