"""Options of commands that take a path: how it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def place_options(function: F) -> F:
    """``--endpoint``, ``--region-name``, ``--anonymous``, ``--request-payer``: the arguments of ``StoreOptions``."""
    for option in (
        click.option("--request-payer", default="", help='"requester" (S3), or the project that pays (Google).'),
        click.option("--anonymous", is_flag=True, help="Ask without credentials, as for public buckets."),
        click.option("--region-name", default="", help="The region of the bucket."),
        click.option("--endpoint", default="", help="The S3 server, where the path names none."),
    ):
        function = option(function)
    return function
