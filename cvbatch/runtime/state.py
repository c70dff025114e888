"""The state directory: what is true about a job, whoever asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cvbatch.errors import StateError
from cvbatch.metadata import Failure, Job, PlanSpec, Receipt
from cvbatch.metadata.job import job_document, read_job_document
from cvbatch.runtime.ranges import Ranges
from cvbatch.storage import Blob, Location, Store, open_store, parse_location


@dataclass(frozen=True)
class State:
    """``job.json``, ``receipts/``, ``failures/`` and ``workers/`` of one job."""

    store: Store
    job_id: str

    def read_job(self) -> tuple[Job, PlanSpec] | None:
        """The job and how it was cut, None where nothing was started yet.

        Raises :class:`StateError` where the directory belongs to another job.
        """
        document = self._read("job.json")
        if document is None:
            return None
        job, spec = read_job_document(document)
        if job.id != self.job_id:
            raise StateError(
                f"{self.store.url} holds job {job.id}, not {self.job_id}: give this one a state of its own"
            )
        return job, spec

    def write_job(self, job: Job, spec: PlanSpec) -> None:
        """Freeze how the job is cut. Where another start was faster, its word stands."""
        self.store.create("job.json", _encode(job_document(job, spec)))

    def add_receipt(self, receipt: Receipt) -> None:
        self._write(f"receipts/{receipt.key}", receipt.to_json())

    def done(self) -> dict[int, Ranges]:
        """The tasks of each pass that have a receipt. One listing; no receipt is read."""
        found: dict[int, list[tuple[int, int]]] = {}
        for key in self.store.list("receipts/"):
            try:
                batch = Receipt.batch_of(key.removeprefix("receipts/"), self.job_id)
            except ValueError:
                continue  # Not a receipt: an editor's backup, say.
            found.setdefault(batch.pass_number, []).append((batch.start, batch.stop))
        return {number: Ranges.of(ranges) for number, ranges in found.items()}

    def add_failure(self, failure: Failure) -> None:
        self._write(f"failures/{failure.key}", failure.to_json())

    def clear_failures(self) -> None:
        """Forget the failures of earlier runs."""
        self.store.delete_all(list(self.store.list("failures/")))

    def failures(self) -> list[Failure]:
        """The tasks that the last run gave up."""
        documents = [self._read(key) for key in sorted(self.store.list("failures/"))]
        return [
            Failure(found["task"], found["box"], tuple(found["errors"]), found["traceback"])
            for found in documents
            if found is not None
        ]

    def beat(self, worker: str, document: dict[str, Any]) -> None:
        """Say that a worker is alive."""
        self._write(f"workers/{worker}.json", document)

    def leave(self, worker: str) -> None:
        """Say that a worker has ended."""
        self.store.delete(f"workers/{worker}.json")

    def workers(self) -> list[dict[str, Any]]:
        """What the workers said when they were last heard of."""
        documents = [self._read(key) for key in sorted(self.store.list("workers/"))]
        return [document for document in documents if document is not None]

    def _write(self, key: str, document: dict[str, Any]) -> None:
        self.store.put(key, Blob(_encode(document)), content_type="application/json")

    def _read(self, key: str) -> dict[str, Any] | None:
        blob = self.store.get(key)
        if blob is None:
            return None
        try:
            document = json.loads(bytes(blob.data))
        except ValueError as error:
            raise StateError(f"{self.store.url}/{key} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise StateError(f"{self.store.url}/{key} is not a JSON object")
        return document


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode()


def state_location(job: Job, state: str | None) -> Location:
    """Where the state of a job is: ``state``, or a folder of its own under the destination."""
    return job.destination.below(".cvbatch", job.id) if state is None else parse_location(state)


def open_state(job: Job, state: str | None) -> State:
    """The state of a job at ``state`` (None: under the destination). Nothing is read or written."""
    return State(open_store(state_location(job, state)), job.id)
