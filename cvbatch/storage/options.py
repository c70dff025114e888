"""How a store is reached, beside where it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

# No byte for so long, and a request counts as failed. S3 answers in milliseconds, a crowded server in seconds.
STALL_SECONDS = 12.0
# Requests that a process has under way, if nothing else is said: of what comes from afar it takes many at a time.
REQUESTS_AT_ONCE = 16
# What browsers and proxies may do with a chunk. Documents are never kept: an edited one must be seen.
CHUNK_CACHING = "max-age=3600, s-max-age=3600"


@dataclass(frozen=True)
class StoreOptions:
    """Options of a bucket or server; none of them changes what is in it.

    ``endpoint`` is the server of a URL that names none, ``request_payer`` "requester" (S3) or the project that pays
    (Google), ``cache_control`` the Cache-Control header of chunks that are written. ``secrets`` is a token or JSON,
    as text; it is never shown, and never written to a document.
    """

    endpoint: str = ""
    region_name: str = ""
    anonymous: bool = False
    request_payer: str = ""
    use_https: bool = False
    cache_control: str = CHUNK_CACHING
    stall_seconds: float = STALL_SECONDS
    secrets: str = field(default="", repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the secrets."""
        return {name: value for name, value in asdict(self).items() if name != "secrets"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value)
