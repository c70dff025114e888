"""How a :class:`~cvbatch.CloudVolume` behaves: its options, checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cvbatch.codecs import BYTE_ENCODINGS, default_compression
from cvbatch.errors import UnsupportedCompressionType
from cvbatch.storage.options import CHUNK_CACHING

Compress: TypeAlias = "bool | str | None"
# What CloudVolume's users call them, too.
ALIASES = {"": "none", "lzma": "xz", "bzip2": "bz2"}


@dataclass(frozen=True)
class Options:
    """The options that may be changed after construction. See :class:`~cvbatch.CloudVolume` for their meaning."""

    bounded: bool = True
    autocrop: bool = False
    fill_missing: bool = False
    background_color: float = 0
    delete_black_uploads: bool = False
    non_aligned_writes: bool = False
    parallel: int | bool = 1
    compress: Compress = None
    compress_level: int | None = None
    cdn_cache: int | bool | str = True
    progress: bool | str = False
    green_threads: bool = False

    def __post_init__(self) -> None:
        compression_name(self.compress, "raw")  # To be told now rather than at the first write.
        object.__setattr__(self, "parallel", processes_of(self.parallel))

    @property
    def cache_control(self) -> str:
        """The Cache-Control header of chunks that are written to a bucket."""
        if isinstance(self.cdn_cache, str):
            return self.cdn_cache
        if self.cdn_cache is True:
            return CHUNK_CACHING
        seconds = int(self.cdn_cache)
        return f"max-age={seconds}, s-max-age={seconds}" if seconds else "no-cache"


def secrets_text(secrets: Any) -> str:
    """Credentials as they were given (a dict, JSON or a token), as one text; "" for none."""
    return json.dumps(secrets) if isinstance(secrets, Mapping) else str(secrets or "")


def processes_of(parallel: int | bool) -> int:
    """How many processes: True is one for each core. Raises ValueError for less than one."""
    if isinstance(parallel, bool):
        return (os.cpu_count() or 1) if parallel else 1
    if not isinstance(parallel, int) or parallel < 1:
        raise ValueError(f"parallel is {parallel!r}; it must be True or a number of processes from 1 on")
    return parallel


def compression_name(compress: Compress, encoding: str) -> str:
    """The byte encoding that an option means for an array encoding.

    None is what suits the encoding, True is gzip, False and "" are none. Raises
    :class:`UnsupportedCompressionType` for others that there are not.
    """
    if compress is None:
        return default_compression(encoding)
    if compress in (True, False):
        return "gzip" if compress else "none"
    name = compress.lower() if isinstance(compress, str) else ""
    name = ALIASES.get(name, name)
    if not isinstance(compress, str) or name not in BYTE_ENCODINGS:
        raise UnsupportedCompressionType(f"compress is {compress!r}; there are {', '.join(BYTE_ENCODINGS)}")
    return name
