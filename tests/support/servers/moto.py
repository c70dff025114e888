"""AWS S3 with users and their rights, by moto, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from .base import Server, program

KEY, SECRET = "moto-access-key", "moto-secret-key"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}

# moto's own server with a port that the system chooses, and HTTP 1.1, so that connections are kept alive.
_SERVE = """
import logging
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.ERROR)
MotoRequestHandler.protocol_version = "HTTP/1.1"
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def moto_s3() -> Iterator[Server]:
    """An empty S3 that accepts any access key, until ``with_users``."""
    # In the test process its sockets would be left to the garbage collector, and all servers would share their buckets.
    with (
        tempfile.TemporaryDirectory() as home,
        program([sys.executable, "-c", _SERVE], r"ready (http://\S+)\n", {"HOME": home}) as match,
    ):
        yield Server(match[1], KEY, SECRET)


def make_bucket(server: Server, name: str, region: str = "us-east-1") -> None:
    """Make a bucket, as the user of the server's access key."""
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.closing(client(server, "s3", region)) as s3:
        s3.create_bucket(Bucket=name, **where)


@contextlib.contextmanager
def with_users(server: Server) -> Iterator[Server]:
    """From now on, requests need the access key of a user with the right to them; yields the server of one who may all.

    Afterwards the server accepts any access key again.
    """
    key, secret = user(server)
    _enforce_after(server, "0")
    try:
        yield Server(server.url, key, secret)
    finally:
        _enforce_after(server, "inf")


def user(server: Server, denied: Sequence[str] = ()) -> tuple[str, str]:
    """The access key of a new user, who may do everything but the actions denied, such as ``s3:PutObject``.

    ``server`` is one whose access key may make users: that of ``with_users``.
    """
    name = f"user-{uuid.uuid4().hex}"
    statements: list[dict[str, Any]] = [EVERYTHING]
    if denied:
        statements.append({"Effect": "Deny", "Action": list(denied), "Resource": "*"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    with contextlib.closing(client(server, "iam")) as iam:
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def client(server: Server, service: str, region: str = "us-east-1") -> Any:
    """A client of boto3, to be closed."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
    )


def _enforce_after(server: Server, requests: str) -> None:
    # As a form, which is what urllib calls it otherwise, moto would find no data.
    headers = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{server.url}/moto-api/reset-auth", requests.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()
