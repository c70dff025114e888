"""A process of the pool: ``python -m cvbatch.volume.child SOCKET NOTES``.

It is told a piece of work, and then numbers of its parts. It ends when nobody is left to tell it more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from cvbatch.process.child import ignore_ends
from cvbatch.process.recorder import Recorder
from cvbatch.volume.work import Work, read_work


class _Worker:
    """The work that is at hand."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._document: dict[str, Any] = {}
        self._work: Work | None = None

    def begin(self, document: dict[str, Any]) -> None:
        self.forget()
        self._document = document

    def forget(self) -> None:
        if self._work is not None:
            self._work.close()
        self._work = None

    def do(self, numbers: range) -> dict[str, Any]:
        """Do some parts; the answer. Up to the first that fails, as one process would."""
        number = numbers.start
        try:
            if self._work is None:
                self._work = read_work(self._document, self._recorder)
            for number in numbers:
                self._work.do(number)
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked
            return {"at": number, "error": _error_document(error)}
        return {"done": len(numbers)}


def _error_document(error: Exception) -> dict[str, str]:
    text = "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "text": str(error), "traceback": text}


def serve(connection: Connection, recorder: Recorder) -> None:
    """Answer until the other end is closed."""
    worker = _Worker(recorder)
    with suppress(EOFError, OSError):
        while True:
            message = json.loads(connection.recv_bytes())
            if "do" in message:
                answer = worker.do(range(*message["do"]))
                connection.send_bytes(json.dumps(answer).encode())
            elif "environment" in message:
                os.environ.clear()
                os.environ.update(message["environment"])
            elif "forget" in message:
                worker.forget()
            else:
                worker.begin(message)
    worker.forget()


def main() -> None:
    """Serve the process at the other end of the socket; both handles are inherited, and their numbers given."""
    # What becomes of the call is for the process to say that made it.
    ignore_ends(signal.SIGINT)
    serve(Connection(int(sys.argv[1])), Recorder(int(sys.argv[2])))


if __name__ == "__main__":
    main()
