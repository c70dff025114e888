"""Credentials of the test servers where users keep theirs."""

from __future__ import annotations

import json
from pathlib import Path

from .base import Server
from .gcs import GcsStub


def save_s3_keys(folder: Path, server: Server, bucket: str = "") -> None:
    """Write the keys of a server into a folder ``secrets``, for all buckets or for one."""
    name = f"{bucket}-aws-secret.json" if bucket else "aws-secret.json"
    _save(folder / name, {"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret})


def save_google_account(folder: Path, stub: GcsStub) -> None:
    """Write the account that leads to the stub into a folder ``secrets``."""
    _save(folder / "google-secret.json", json.loads(stub.service_account_key))


def _save(path: Path, value: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
