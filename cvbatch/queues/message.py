"""Messages: what to do, as text, in the wire format of python-task-queue.

A message names tasks and where the job is described. It holds no code and no secret.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cvbatch.errors import MessageError, UnreadableMessageError
from cvbatch.metadata import Batch
from cvbatch.storage import Location, StoreOptions, parse_location

VERSION = 1
# What python-task-queue shows of a message, and would look for to run it; there is no such function.
TARGET = ["cvbatch", "run_batch"]


@dataclass(frozen=True)
class Message:
    """A batch, the state directory of its job, and how often a task may fail before it is given up."""

    batch: Batch
    state: Location
    max_attempts: int = 3

    def encode(self) -> str:
        batch, state = self.batch, self.state
        work = {
            "version": VERSION,
            "job": batch.job_id,
            "pass": batch.pass_number,
            "start": batch.start,
            "stop": batch.stop,
            "state": state.url,
            "reach": state.options.to_json(),
            "max_attempts": self.max_attempts,
        }
        # That program looks for an id in two places.
        return json.dumps({"payload": [TARGET, [], work, None], "id": None})

    @classmethod
    def decode(cls, text: str) -> Message:
        """Raises :class:`~cvbatch.errors.MessageError` for what is no message of ours, or of another version."""
        try:
            target, _, work, *_ = json.loads(text)["payload"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableMessageError(f"not a message of any program: {text[:200]!r}") from error
        if target != TARGET or not isinstance(work, dict):
            raise MessageError(f"a message for another program: {target!r}")
        if work.get("version") != VERSION:
            raise MessageError(f"a message of version {work.get('version')!r}; this cvbatch reads {VERSION}")
        attempts = work.get("max_attempts")
        if type(attempts) is not int or attempts < 1:
            raise UnreadableMessageError(f"a message with max_attempts {attempts!r}")
        return cls(_batch(work), _state(work), attempts)


def _batch(work: dict[str, Any]) -> Batch:
    job, numbers = work.get("job"), [work.get(name) for name in ("pass", "start", "stop")]
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if not isinstance(job, str) or not whole or not numbers[1] < numbers[2]:  # type: ignore[operator]
        raise UnreadableMessageError(f"a message without a batch: job {job!r}, pass, start and stop {numbers}")
    return Batch(job, *numbers)  # type: ignore[arg-type]


def _state(work: dict[str, Any]) -> Location:
    try:
        return parse_location(work["state"], StoreOptions.from_json(work["reach"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableMessageError(f"a message that does not say where its job is: {work.get('state')!r}") from error
