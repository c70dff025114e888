"""Who asks: the credentials of a bucket or server, and where they were found.

Searched in this order: what the caller gave, CloudVolume's files (a bucket's or server's own first), and then what the
provider's own tools would use: environment, profiles and single sign-on, roles of machines and containers for S3;
application default credentials for Google.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cvbatch.errors import AuthenticationError
from cvbatch.storage.url import Location

# The client asks again 5 minutes before this ends, and what AWS's tools give out is good for 10 minutes at least.
AWS_KEPT = timedelta(minutes=10)
GIVEN = "secrets given by the caller"


@dataclass(frozen=True)
class Credentials:
    """``origin`` is where they come from, in words that may be shown. ``settings`` are for the client, and are not."""

    origin: str
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    provider: Callable[[], Any] | None = field(default=None, repr=False)
    region: str = ""


def find_credentials(location: Location) -> Credentials:
    """The credentials for a location. Raises :class:`AuthenticationError` that says where they were looked for."""
    options = location.options
    find = {"s3": _s3, "gs": _google}.get(location.protocol, _server)
    if options.anonymous:
        return Credentials("nobody (anonymous)", {"skip_signature": True} if not location.is_server else {})
    if options.secrets:
        return find(location, _parsed(options.secrets, GIVEN), GIVEN)
    path = _secret_file(location)
    if path is not None:
        return find(location, _parsed(_text(path), path), path)
    return find(location, None, "")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}") from error
    except UnicodeError:
        raise AuthenticationError(f"{path}: the credentials are not text") from None


def _parsed(text: str, where: str) -> dict[str, Any] | str:
    """A JSON object, or a bare token. What can't be understood is not repeated: it is a secret."""
    if not text.lstrip().startswith("{"):
        token = text.strip()
        if not token.isascii() or not token.isprintable() or not token:
            raise AuthenticationError(f"{where}: the credentials are neither JSON nor a token")
        return token
    try:
        value: dict[str, Any] = json.loads(text)
    except ValueError:
        raise AuthenticationError(f"{where}: the credentials are not JSON") from None
    return value


def secret_folders() -> list[str]:
    """Where CloudVolume and cloud-files keep credentials, most important first."""
    home = os.path.expanduser("~")
    volume = os.environ.get("CLOUD_VOLUME_DIR") or os.path.join(home, ".cloudvolume")
    files = os.environ.get("CLOUD_FILES_DIR") or os.path.join(home, ".cloudfiles")
    return [os.path.join(volume, "secrets"), os.path.join(files, "secrets")]


def _file_names(location: Location) -> Iterator[str]:
    """The names that a file with a location's credentials may have, the most special first."""
    kinds = {"s3": location.alias or "aws", "gs": "google"}
    kind = kinds.get(location.protocol, "cave" if location.alias else "http")
    for first in dict.fromkeys([location.bucket, urlsplit(location.endpoint).hostname or ""]):
        if first:
            yield f"{first}-{kind}-secret.json"
    yield f"{kind}-secret.json"


def _searched(location: Location) -> str:
    return f"Looked in {' and '.join(secret_folders())} for {', '.join(_file_names(location))}"


def _secret_file(location: Location) -> str | None:
    candidates = (os.path.join(folder, name) for name in _file_names(location) for folder in secret_folders())
    return next(filter(os.path.isfile, candidates), None)


# S3


def region_of_environment() -> str:
    """The region that AWS's tools would take from the environment, "" if there is none."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""


def _s3(location: Location, given: dict[str, Any] | str | None, origin: str) -> Credentials:
    if given is not None:
        return _s3_keys(given, origin)
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        token = os.environ.get("AWS_SESSION_TOKEN")
        region = region_of_environment()
        return Credentials("environment variable AWS_ACCESS_KEY_ID", _key_settings(key, secret, token), region=region)
    return _s3_chain(location)


def _s3_keys(given: dict[str, Any] | str, origin: str) -> Credentials:
    values = given if isinstance(given, dict) else {}
    key, secret = values.get("AWS_ACCESS_KEY_ID"), values.get("AWS_SECRET_ACCESS_KEY")
    if not (key and isinstance(key, str) and secret and isinstance(secret, str)):
        raise AuthenticationError(
            f"{origin}: credentials of S3 are a JSON object with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
            "AWS_SESSION_TOKEN if they are temporary"
        )
    settings = _key_settings(key, secret, values.get("AWS_SESSION_TOKEN"))
    return Credentials(origin, settings, region=str(values.get("AWS_DEFAULT_REGION", "")))


def _key_settings(key: str, secret: str, token: str | None) -> dict[str, Any]:
    session = {"session_token": token} if token else {}
    return {"access_key_id": key, "secret_access_key": secret, **session}


def _s3_chain(location: Location) -> Credentials:
    """What the AWS tools would use: profiles, single sign-on, web identities, roles of containers and machines."""
    import boto3.session
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        session = boto3.session.Session()
        found = session.get_credentials()
    except (BotoCoreError, OSError, ValueError) as error:  # The latter two where a credential_process is at fault.
        raise AuthenticationError(f"{location.url}: the settings of the AWS tools don't work: {error}") from error
    if found is None:
        raise AuthenticationError(
            f"{location.url}: no credentials for S3. {_searched(location)}, in the environment (AWS_ACCESS_KEY_ID), "
            "in the profiles of ~/.aws, and for a role of this machine. For a public bucket set anonymous: true"
        )
    profile = f" (profile {session.profile_name})" if found.method.startswith(("shared", "config", "sso")) else ""
    provider = Boto3CredentialProvider(session, ttl=AWS_KEPT)
    return Credentials(f"AWS {found.method}{profile}", provider=provider, region=session.region_name or "")


# Google

SERVICE_ACCOUNT = ("client_email", "private_key", "private_key_id")


def _google(location: Location, given: dict[str, Any] | str | None, origin: str) -> Credentials:
    if isinstance(given, dict):
        if not all(isinstance(given.get(name), str) for name in SERVICE_ACCOUNT):
            raise AuthenticationError(
                f"{origin}: not the key of a service account, which has {', '.join(SERVICE_ACCOUNT)}. Other "
                "credentials of Google are found by GOOGLE_APPLICATION_CREDENTIALS"
            )
        who = given["client_email"]
        return Credentials(f"{origin} ({who})" if who else origin, {"service_account_key": json.dumps(given)})
    if given is not None:
        return Credentials(origin, provider=partial(_constant_token, given))
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from obstore.auth.google import GoogleCredentialProvider

    try:
        found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    except (GoogleAuthError, OSError, ValueError) as error:
        raise AuthenticationError(
            f"{location.url}: no credentials for Google Storage. {_searched(location)}, and for application default "
            "credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login, the identity of this "
            f"machine): {error} For a public bucket set anonymous: true"
        ) from error
    who = getattr(found, "service_account_email", None) or type(found).__module__.rpartition(".")[2]
    return Credentials(f"Google application default credentials ({who})", provider=GoogleCredentialProvider(found))


def _constant_token(token: str) -> dict[str, Any]:
    return {"token": token, "expires_at": None}


# Web servers


def _server(location: Location, given: dict[str, Any] | str | None, origin: str) -> Credentials:
    if given is None:
        return Credentials("nobody")
    if isinstance(given, dict) and "user" in given and "password" in given:
        pair = base64.b64encode(f"{given['user']}:{given['password']}".encode()).decode()
        return Credentials(f"{origin} (user {given['user']})", headers={"Authorization": f"Basic {pair}"})
    token = given.get("token") if isinstance(given, dict) else given
    if not token:
        raise AuthenticationError(f"{origin}: credentials of a web server are user and password, or token")
    return Credentials(origin, headers={"Authorization": f"Bearer {token}"})
