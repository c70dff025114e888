"""Which queue a URL means."""

from __future__ import annotations

from cvbatch.errors import QueueUnavailableError
from cvbatch.queues.folder import FolderQueue
from cvbatch.queues.shared import SharedQueue


def open_queue(url: str, endpoint: str = "", region_name: str = "") -> SharedQueue:
    """The queue at a URL; nothing is asked of it yet.

    ``fq://FOLDER`` is a folder, relative to the working directory if it doesn't begin with a slash, and ``sqs://NAME``
    or ``sqs://https://…`` a queue of SQS. ``endpoint`` and ``region_name`` are for the latter; an endpoint is the
    server of a service that isn't Amazon's. Raises :class:`~cvbatch.errors.QueueUnavailableError` for others.
    """
    protocol, separator, rest = url.strip().partition("://")
    if separator and rest:
        if protocol == "fq":
            return FolderQueue(rest)
        if protocol == "sqs":
            # Its client takes long to import.
            from cvbatch.queues.sqs import SqsQueue

            return SqsQueue(rest, region_name, endpoint)
    # It may have a password in it, if it is the URL of something else.
    name = protocol if separator else "a queue without protocol"
    raise QueueUnavailableError(
        f"{name}: there are queues in folders (fq://FOLDER) and of SQS (sqs://NAME, or sqs://https://… with its URL)"
    )
