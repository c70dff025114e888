"""Clients of obstore for a bucket or server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cvbatch.errors import AuthenticationError
from cvbatch.storage.credentials import Credentials, region_of_environment
from cvbatch.storage.url import Location
from cvbatch.version import __version__

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

CONNECT_SECONDS = 5.0
DEFAULT_REGION = "us-east-1"


def _once() -> RetryConfig:
    return {"max_retries": 0}


@dataclass(frozen=True)
class Manner:
    """How a client asks: no byte for ``stall_seconds`` is a failure, ``again`` says what it sends again by itself."""

    stall_seconds: float
    again: RetryConfig = field(default_factory=_once)
    headers: Mapping[str, str] = field(default_factory=dict)
    http2: bool = False


def connect(place: Location, found: Credentials, manner: Manner) -> ObjectStore:
    """A client. Nothing is asked yet. Raises :class:`AuthenticationError` for credentials that it has no use for."""
    try:
        return _store(place, found, manner)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is about what it was given
        # What the client says may repeat what it was given.
        raise AuthenticationError(
            f"{place.url}: the credentials of {found.origin} cannot be used ({type(error).__name__})"
        ) from None


def _store(place: Location, found: Credentials, manner: Manner) -> ObjectStore:
    from obstore.store import GCSStore, HTTPStore, S3Store

    http = _http(place, found, manner)
    if place.is_server:
        return HTTPStore(place.endpoint, client_options=http, retry_config=manner.again)
    provider: dict[str, Any] = {"credential_provider": found.provider} if found.provider else {}
    if place.protocol == "gs":
        return GCSStore(place.bucket, client_options=http, retry_config=manner.again, **found.settings, **provider)
    server: dict[str, Any] = {"endpoint": place.endpoint} if place.endpoint else {}
    return S3Store(
        place.bucket,
        region=place.options.region_name or found.region or region_of_environment() or DEFAULT_REGION,
        request_payer=bool(place.options.request_payer),
        client_options=http,
        retry_config=manner.again,
        **server,
        **found.settings,
        **provider,
    )


def _http(place: Location, found: Credentials, manner: Manner) -> ClientConfig:
    headers = {**found.headers, **manner.headers}
    if place.protocol == "gs" and place.options.request_payer:
        headers["x-goog-user-project"] = place.options.request_payer
    settings: ClientConfig = {
        "allow_http": True,
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=manner.stall_seconds),
        "timeout": timedelta(days=1),  # Large objects take as long as they take, if only something comes.
        "user_agent": f"cvbatch/{__version__}",
    }
    if headers:
        settings["default_headers"] = headers
    if manner.http2:
        settings["http2_only"] = True
    return settings
