"""What works at a place, as whom, how fast, and what to do about what doesn't."""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

from cvbatch.errors import AuthenticationError, CvbatchError, ForbiddenError, InfoError
from cvbatch.formats.precomputed import read_info
from cvbatch.metadata import VolumeInfo
from cvbatch.storage import Blob, Location, Store, credentials_of, open_store
from cvbatch.storage.options import REQUESTS_AT_ONCE

Verdict = Literal["ok", "note", "problem"]
MOST_SECONDS = 10.0
# While a doctor waits nobody should have to be patient.
STALL_SECONDS = 3.0
ROUND_TRIPS = 5
SMALL_BYTES, SMALL_OBJECTS = 64 << 10, 64
LARGE_BYTES = (1 << 20, 4 << 20, 16 << 20, 64 << 20)
# Where less than this was moved in a second, more would only take longer.
WORTH_MORE_BYTES = 16 << 20
LISTED = 1000
COMPRESSED = (".gz", ".br", ".zstd", ".bz2", ".xz")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``advice`` says what to do where something is wrong."""

    what: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What is so at a place."""

    url: str
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether nothing is in the way of at least reading."""
        return all(finding.verdict != "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {"path": self.url, "usable": self.is_usable, "findings": [vars(finding) for finding in self.findings]}


def diagnose(location: Location, may_write: bool = True) -> Diagnosis:
    """Look at a place for ten seconds at the most.

    With ``may_write`` some objects are written below ``.cvbatch/doctor-…`` and removed again.
    """
    if location.is_remote:
        location = replace(location, options=replace(location.options, stall_seconds=STALL_SECONDS))
    examination = _Examination(location, may_write)
    thread = threading.Thread(target=examination.run, name="doctor", daemon=True)
    thread.start()
    thread.join(MOST_SECONDS)
    findings = list(examination.findings)
    if thread.is_alive():
        findings.append(Finding(examination.step, "problem", f"not done after {MOST_SECONDS:.0f} s", "Try again later"))
    return Diagnosis(location.url, tuple(findings))


@dataclass
class _Examination:
    """The steps, one after the other; each adds what it finds."""

    location: Location
    may_write: bool
    findings: list[Finding] = field(default_factory=list)
    step: str = "credentials"

    def run(self) -> None:
        try:
            self._run()
        except CvbatchError as error:
            self._find(self.step, "problem", str(error))
        except Exception as error:  # noqa: BLE001 - a doctor tells what it met, too
            self._find(self.step, "problem", f"{type(error).__name__}: {error}")

    def _find(self, what: str, verdict: Verdict, detail: str, advice: str = "") -> None:
        self.findings.append(Finding(what, verdict, detail, advice))

    def _run(self) -> None:
        self._know_caller()
        store = open_store(self.location)
        self._look_for_traps(self._list(store))
        info = self._read(store)
        if info is not None and self.location.is_server:
            self._try_ranges(store)
        prefix = f".cvbatch/doctor-{secrets.token_hex(4)}/"
        if self.may_write and not self.location.is_server and self._write(store, prefix):
            self._measure(store, prefix)
        elif info is not None:
            self._find_round_trip(lambda: store.get("info"))

    def _know_caller(self) -> None:
        if self.location.protocol == "file":
            self._look_at_folder()
        elif self.location.is_remote:
            self._find("credentials", "ok", credentials_of(self.location).origin)

    def _look_at_folder(self) -> None:
        """What is said of the nearest folder that is there."""
        self.step, folder = "folder", self.location.path
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        free = shutil.disk_usage(folder).free
        there = "is there" if folder == self.location.path else f"will be made below {folder}"
        self._find("folder", "ok", f"{there}; {free / 1e9:,.1f} GB free")

    def _list(self, store: Store) -> list[str]:
        self.step = "list"
        if self.location.is_server:
            self._find("list", "note", "a web server can neither be listed nor written to", "Good for a source only")
            return []
        try:
            store.reach()
            names = list(islice(store.list(), LISTED))
        except AuthenticationError:
            raise
        except ForbiddenError as error:
            self._find("list", "note", str(error), "Good for a source. In a destination cvbatch has to list")
            return []
        count = f"{len(names)} object{'s' * (len(names) != 1)}{' at least' * (len(names) == LISTED)}"
        self._find("list", "ok", count if names else "nothing there yet")
        return names

    def _read(self, store: Store) -> VolumeInfo | None:
        self.step = "read"
        try:
            info = read_info(store)
        except InfoError as error:
            self._find("read", "problem", str(error), "Mend or remove the info")
            return None
        except AuthenticationError:
            raise
        except ForbiddenError as error:
            self._find("read", "problem", str(error))
            return None
        if info is None:
            self._find("read", "note", "there is no volume here (no info)", "Good for a destination, not for a source")
            return None
        scales = f"{len(info.scales)} mip{'s' if len(info.scales) > 1 else ''}"
        self._find("read", "ok", f"a volume: {info.voxel.layer_type}, {info.voxel.data_type}, {scales}")
        return info

    def _look_for_traps(self, names: list[str]) -> None:
        self.step = "names"
        packed = [name for name in names if name.endswith(COMPRESSED)]
        if packed and self.location.is_remote:
            self._find(
                "names",
                "problem",
                f"{len(packed)} of {len(names)} objects have names like {packed[0]}: they were copied from a disk as "
                "they are, and nobody who looks for the chunk finds it",
                "In a bucket the compression belongs into Content-Encoding. Copy the volume from the disk with "
                "`cvbatch run`, or rename the objects and set the header",
            )

    def _try_ranges(self, store: Store) -> None:
        self.step = "ranges"
        whole = store.get("info")
        part = store.get_range("info", 1, 3)
        if whole is not None and part != bytes(whole.data[1:3]):
            self._find("ranges", "problem", "the server answers ranges wrongly", "Sharded volumes cannot be read here")

    def _write(self, store: Store, prefix: str) -> bool:
        """Whether what is written can be removed again, too."""
        self.step, key = "write", f"{prefix}object"
        written = Blob(b"\x1f\x8b compressed", "gzip")
        try:
            store.put(key, written)
        except ForbiddenError as error:
            self._find("write", "note", str(error), "Good for a source, not for a destination")
            return False
        try:
            found = store.get(key)
        except ForbiddenError as error:
            self._find("write", "problem", str(error), "A job reads its own locks and receipts")
            self._delete(store, [key])
            return False
        if found is None or (bytes(found.data), found.encoding) != (written.data, written.encoding):
            self._find(
                "write",
                "problem",
                "a compressed object does not come back as it was written",
                "Something between here and the store keeps, decompresses or changes objects",
            )
        else:
            self._find("write", "ok", "an object comes back as it was written")
        if not self._delete(store, [key]):
            return False
        self._try_conditions(store, f"{prefix}lock")
        return True

    def _delete(self, store: Store, keys: list[str]) -> bool:
        try:
            store.delete_all(keys)
        except ForbiddenError as error:
            self._find("delete", "problem", str(error), "A job has to remove its locks")
            return False
        if not any(finding.what == "delete" for finding in self.findings):
            self._find("delete", "ok", "and can be removed again")
        return True

    def _try_conditions(self, store: Store, key: str) -> None:
        self.step = "locks"
        if store.create(key, b"1") and store.create(key, b"2"):
            self._find(
                "locks",
                "note",
                "the server overwrites where it was asked not to",
                "Two jobs that start at the same moment may not see each other",
            )
        store.delete(key)

    def _measure(self, store: Store, prefix: str) -> None:
        self._find_round_trip(lambda: store.exists(f"{prefix}absent"))
        keys = [f"{prefix}small-{i}" for i in range(SMALL_OBJECTS)]
        try:
            self._measure_small(store, keys)
            self._measure_large(store, f"{prefix}large")
        finally:
            self._delete(store, [*keys, f"{prefix}large"])
            if self.location.protocol == "file":
                for folder in (prefix, ".cvbatch", ""):
                    with suppress(OSError):
                        os.rmdir(os.path.join(self.location.path, folder))

    def _find_round_trip(self, request: Callable[[], object]) -> None:
        self.step = "round trip"
        seconds = statistics.median(_timed(request) for _ in range(ROUND_TRIPS))
        self._find("round trip", "ok", f"{seconds * 1e3:.2g} ms")

    def _measure_small(self, store: Store, keys: list[str]) -> None:
        self.step = "small objects"
        data = Blob(os.urandom(SMALL_BYTES))
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
            put = _timed(lambda: list(threads.map(lambda key: store.put(key, data), keys)))
            get = _timed(lambda: list(threads.map(store.get, keys)))
        rates = ", ".join(f"{len(keys) / each:,.0f} {name}" for name, each in (("written", put), ("read", get)))
        self._find("small objects", "ok", f"of 64 kB, {REQUESTS_AT_ONCE} at a time: {rates} a second")

    def _measure_large(self, store: Store, key: str) -> None:
        self.step = "large objects"
        for nbytes in LARGE_BYTES:
            put = _timed(partial(store.put, key, Blob(os.urandom(nbytes))))
            get = _timed(partial(store.get, key))
            if nbytes / (put + get) < WORTH_MORE_BYTES:
                break
        rates = f"{nbytes / put / 1e6:,.0f} MB/s written, {nbytes / get / 1e6:,.0f} MB/s read"
        self._find("large objects", "ok", f"one of {nbytes / 1e6:,.0f} MB: {rates}")


def _timed(do: Callable[[], object]) -> float:
    """How many seconds it takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
