"""Servers on 127.0.0.1 for tests: buckets, web pages, and a proxy that spoils what passes."""

from .base import Server
from .canned import canned_server, s3_error
from .faults import FAULTS, FaultProxy
from .gcs import GcsStub, gcs_stub
from .keys import save_google_account, save_s3_keys
from .moto import make_bucket, moto_s3, user, with_users
from .rclone import rclone_s3
from .web import WebServer, web_server

__all__ = [
    "FAULTS",
    "FaultProxy",
    "GcsStub",
    "Server",
    "WebServer",
    "canned_server",
    "gcs_stub",
    "make_bucket",
    "moto_s3",
    "rclone_s3",
    "s3_error",
    "save_google_account",
    "save_s3_keys",
    "user",
    "web_server",
    "with_users",
]
