"""The state directory: what is true about a job, whoever asks."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from cvbatch.counts import Counts, TaskResult
from cvbatch.errors import StateError
from cvbatch.findings import Verdict
from cvbatch.metadata import Batch, Course, Failure, Job, PlanSpec, Receipt, Task
from cvbatch.metadata.job import UNREADABLE, job_document, read_job_document
from cvbatch.metadata.receipt import receipt_key
from cvbatch.process.host import now_text, worker_name
from cvbatch.runtime.ranges import Ranges
from cvbatch.storage import Blob, Location, Store, open_store
from cvbatch.storage.options import REQUESTS_AT_ONCE


@dataclass(frozen=True)
class Overview:
    """What the names in a state say: whether there is a job, which tasks are done or given up, and who works."""

    started: bool
    done: dict[int, Ranges]
    given_up: set[Task]
    workers: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """``job.json``, ``receipts/``, ``failures/``, ``attempts/``, ``sent/`` and ``workers/`` of one job."""

    location: Location
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
        return self._ranges("receipts/")

    def receipts(self) -> Iterator[Receipt]:
        """All receipts, in the order of their tasks. Reads each.

        Raises :class:`StateError` for one that can't be understood.
        """
        keys = sorted(self.store.list("receipts/"))
        for key, document in zip(keys, self._read_all(keys), strict=True):
            if document is None:
                continue
            try:
                yield Receipt.from_json(document)
            except UNREADABLE as error:
                raise StateError(f"{self.store.url}/{key} cannot be understood: {error!r}") from error

    def counts(self) -> Counts:
        """What all receipts say was done. Reads them all."""
        return reduce(add, (receipt.counts for receipt in self.receipts()), Counts())

    def verdict(self) -> Verdict:
        """What all receipts say was found. Reads them all."""
        found = (receipt.result.verdict for receipt in self.receipts())
        return reduce(add, (verdict for verdict in found if verdict is not None), Verdict())

    def take_for_granted(self, batch: Batch) -> None:
        """Say that tasks are done of which it is known in another way."""
        self.add_receipt(Receipt(batch, TaskResult(Counts()), now_text(), worker_name()))

    def forget(self, tasks: Collection[Task]) -> None:
        """Take back that tasks are done; those that share a receipt with them stay done."""
        for receipt in list(self.receipts()):
            batch = receipt.batch
            gone = {task.index for task in tasks if task.pass_number == batch.pass_number} & set(
                range(batch.start, batch.stop)
            )
            if not gone:
                continue
            result = receipt.result
            for start, stop in Ranges.of((i, i + 1) for i in gone).missing(batch.stop, batch.start):
                self.add_receipt(
                    replace(receipt, batch=replace(batch, start=start, stop=stop), result=result, course=Course())
                )
                result = TaskResult(Counts())  # Counted once.
            self.store.delete(f"receipts/{receipt.key}")

    def clear(self) -> None:
        """Forget everything."""
        self.store.delete_all(list(self.store.list()))

    def _ranges(self, folder: str) -> dict[int, Ranges]:
        return self._ranges_in(self.store.list(folder), folder)

    def _ranges_in(self, keys: Iterable[str], folder: str) -> dict[int, Ranges]:
        found: dict[int, list[tuple[int, int]]] = {}
        for key in keys:
            if not key.startswith(folder):
                continue
            try:
                batch = Receipt.batch_of(key.removeprefix(folder), self.job_id)
            except ValueError:
                continue  # Not a receipt: an editor's backup, say.
            found.setdefault(batch.pass_number, []).append((batch.start, batch.stop))
        return {number: Ranges.of(ranges) for number, ranges in found.items()}

    def overview(self) -> Overview:
        """Everything that the names in the state say. One listing; nothing is read."""
        keys = list(self.store.list())
        workers = tuple(sorted(key for key in keys if key.startswith("workers/")))
        return Overview("job.json" in keys, self._ranges_in(keys, "receipts/"), self._tasks_in(keys), workers)

    def add_failure(self, failure: Failure) -> None:
        self._write(f"failures/{failure.key}", failure.to_json())

    def clear_failures(self) -> None:
        """Forget the failures of earlier runs."""
        self.store.delete_all([*self.store.list("failures/"), *self.store.list("attempts/")])

    def given_up(self) -> set[Task]:
        """The tasks under ``failures/``. One listing; none is read."""
        return self._tasks_in(self.store.list("failures/"))

    def _tasks_in(self, keys: Iterable[str]) -> set[Task]:
        found = set()
        for key in keys:
            folder, _, name = key.partition("/")
            pass_number, _, index = name.removesuffix(".json").partition("-")
            if folder == "failures" and pass_number.isdigit() and index.isdigit():
                found.add(Task(self.job_id, int(pass_number), int(index)))
        return found

    def add_attempt(self, task: Task, error: str) -> list[str]:
        """Note that an attempt failed, here or on any other machine; the errors of all of them."""
        folder = f"attempts/{task.name}/"
        self._write(f"{folder}{time.time_ns():020d}-{worker_name()}.json", {"error": error, "at": now_text()})
        found = [self._read(key) for key in sorted(self.store.list(folder))]
        return [str(document.get("error")) for document in found if document is not None]

    def has_receipt(self, batch: Batch) -> bool:
        """Whether there is a receipt of just these tasks."""
        return self.store.exists(f"receipts/{receipt_key(batch)}")

    def note_sent(self, batches: Sequence[Batch]) -> None:
        """Note that messages are in the queue, of one pass and in a row."""
        first, last = batches[0], batches[-1]
        whole = Batch(first.job_id, first.pass_number, first.start, last.stop)
        self._write(f"sent/{receipt_key(whole)}", {"messages": len(batches), "at": now_text()})

    def sent(self) -> dict[int, Ranges]:
        """The tasks of each pass that were sent to a queue at some time."""
        return self._ranges("sent/")

    def failures(self) -> list[Failure]:
        """The tasks that the last run gave up."""
        return self.failures_of(self.given_up())

    def failures_of(self, tasks: Iterable[Task]) -> list[Failure]:
        """Why tasks were given up."""
        keys = [f"failures/{task.name}.json" for task in sorted(tasks)]
        found = zip(keys, self._read_all(keys), strict=True)
        return [self._failure(key, document) for key, document in found if document is not None]

    def _failure(self, key: str, document: dict[str, Any]) -> Failure:
        try:
            return Failure.from_json(document)
        except UNREADABLE as error:
            raise StateError(f"{self.store.url}/{key} cannot be understood: {error!r}") from error

    def beat(self, worker: str, document: dict[str, Any]) -> None:
        """Say that a worker is alive."""
        self._write(f"workers/{worker}.json", document)

    def leave(self, worker: str) -> None:
        """Say that a worker has ended."""
        self.store.delete(f"workers/{worker}.json")

    def workers(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """What workers said when they were last heard of; ``keys`` are those of the :class:`Overview`."""
        return [document for document in self._read_all(list(keys)) if document is not None]

    def _write(self, key: str, document: dict[str, Any]) -> None:
        self.store.put(key, Blob(_encode(document)), content_type="application/json")

    def _read_all(self, keys: Sequence[str]) -> list[dict[str, Any] | None]:
        """Several documents: of a bucket at once, because each takes its time to answer."""
        if not self.location.is_remote or len(keys) < 2:
            return [self._read(key) for key in keys]
        with ThreadPoolExecutor(REQUESTS_AT_ONCE, "state") as pool:
            return list(pool.map(self._read, keys))

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


def open_state(job: Job, place: Location | None) -> State:
    """The state of a job at a place, None for a folder of its own under the destination. Nothing is read or written."""
    location = place or job.destination.below(".cvbatch", job.id)
    return State(location, open_store(location), job.id)
