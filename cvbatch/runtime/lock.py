"""One run at a time on a region of a destination."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cvbatch.errors import InputError, JobBusyError, LockLostError, StorageError
from cvbatch.geometry import Bbox
from cvbatch.metadata.job import UNREADABLE
from cvbatch.planner import Plan
from cvbatch.process.host import identity, now_text, surely_dead
from cvbatch.storage import Blob, Store, open_store

FOLDER = ".cvbatch/locks/"
LEASE_SECONDS = 300.0
MOST_PIDS = 1 << 22


def locked_boxes(plan: Plan) -> dict[str, list[int]]:
    """What a job writes: a box for the key of each scale."""
    region, boxes = plan.job.region, {}
    for each in plan.passes:
        for level in each.levels:
            boxes[level.level.scale.key] = each.level_box(level, region).to_list()
        region = each.level_box(each.levels[-1], region)
    return boxes


class Lock(Protocol):
    """Says that somebody works on a region."""

    def renew(self) -> None:
        """Say again that the run lives. Raises :class:`LockLostError` where another run took over."""
        ...

    def keep(self) -> None:
        """Renew a lock that others hold for the same job. One that is not there was released."""
        ...

    def release(self) -> None:
        """Unlock the region, if it is still ours."""
        ...


class NoLock:
    """That of a job which writes nothing."""

    def renew(self) -> None:
        """Nothing is held."""

    def keep(self) -> None:
        """Nothing is held."""

    def release(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class RegionLock:
    """An object under ``.cvbatch/locks/`` of the destination that says who writes where, and until when."""

    store: Store
    key: str
    document: dict[str, Any]
    clock: Callable[[], float] = time.time

    def renew(self) -> None:
        if not self.is_ours():
            raise LockLostError(f"another run took over {self.store.url} while this one was not heard of")
        self._write()

    def keep(self) -> None:
        blob = self.store.get(self.key)
        if blob is not None:
            found = {**_load(blob), "expires": self.clock() + LEASE_SECONDS}
            self.store.put(self.key, Blob(_dump(found)), content_type="application/json")

    def is_ours(self) -> bool:
        """Whether nobody else has locked the region since."""
        found = self.store.get(self.key)
        return found is None or _load(found).get("owner") == self.document["owner"]

    def _write(self) -> None:
        document = {**self.document, "expires": self.clock() + LEASE_SECONDS}
        self.store.put(self.key, Blob(_dump(document)), content_type="application/json")

    def release(self) -> None:
        if self.is_ours():
            self.store.delete(self.key)


def lock_of(plan: Plan, owner: dict[str, Any] | None = None, clock: Callable[[], float] = time.time) -> Lock:
    """The lock on what a plan writes, whether it is held or not."""
    return NoLock() if plan.job.check is not None else _region_lock(plan, owner, clock)


def _region_lock(plan: Plan, owner: dict[str, Any] | None, clock: Callable[[], float]) -> RegionLock:
    document = {"job": plan.job.id, "owner": owner or identity(), "since": now_text(), "boxes": locked_boxes(plan)}
    return RegionLock(open_store(plan.job.destination), f"{FOLDER}{plan.job.id}.json", document, clock)


def acquire(
    plan: Plan, owner: dict[str, Any] | None = None, clock: Callable[[], float] = time.time, *, force: bool = False
) -> Lock:
    """Lock what a plan writes, for this process or for an ``owner`` that several processes are, who share the lock.

    Raises :class:`JobBusyError` that says who holds an overlapping region, also where a plan writes nothing. Locks that
    have expired, or whose process on this host is gone, don't count and are removed; with ``force`` all that overlap.
    """
    lock = _region_lock(plan, owner, clock)
    if force:
        _break_locks(lock)
    if plan.job.check is not None:
        _check_free(lock)
        return NoLock()
    try:
        _take(lock, is_shared=owner is not None)
    except StorageError as error:
        raise InputError(f"the destination can't be written to: {error}") from error
    return lock


def _take(lock: RegionLock, is_shared: bool) -> None:
    """Make the lock's object, if nothing is in its way; a shared one may be there already."""
    store, document, clock = lock.store, lock.document, lock.clock
    _remove_stale(store, clock)
    store.delete(f"{FOLDER}may-delete")  # Who may not would find out at the end, with a lock that stays.
    made = store.create(lock.key, _dump({**document, "expires": clock() + LEASE_SECONDS}))
    if not made and not (is_shared and lock.is_ours()):
        raise JobBusyError(_busy(store, lock.key))
    try:
        _check_free(lock)
    except JobBusyError:
        lock.release()
        raise


def _check_free(lock: RegionLock) -> None:
    """Raise :class:`JobBusyError` where somebody else writes to the region."""
    for key in lock.store.list(FOLDER):
        blob = lock.store.get(key) if key != lock.key else None
        found = _load(blob) if blob is not None else {}
        if _is_alive(found, lock.clock) and _overlaps(lock.document["boxes"], found.get("boxes", {})):
            raise JobBusyError(_busy(lock.store, key))


def _break_locks(lock: RegionLock) -> None:
    """Remove the locks on the region, whoever holds them."""
    for key in lock.store.list(FOLDER):
        blob = lock.store.get(key)
        if blob is not None and _overlaps(lock.document["boxes"], _load(blob).get("boxes", {})):
            lock.store.delete(key)


def _is_alive(found: dict[str, Any], clock: Callable[[], float]) -> bool:
    return bool(found.get("expires", 0) >= clock() and not surely_dead(found.get("owner", {})))


def _remove_stale(store: Store, clock: Callable[[], float]) -> None:
    for key in store.list(FOLDER):
        blob = store.get(key)
        found = _load(blob) if blob is not None else {}
        if not _is_alive(found, clock):
            store.delete(key)


def _overlaps(mine: dict[str, list[int]], theirs: dict[str, list[int]]) -> bool:
    shared = mine.keys() & theirs.keys()
    return any(Bbox.from_list(mine[key]).intersects(Bbox.from_list(theirs[key])) for key in shared)


def _busy(store: Store, key: str) -> str:
    blob = store.get(key)
    found = _load(blob) if blob is not None else {}
    owner = found.get("owner", {})
    return (
        f"{store.url}: job {found.get('job', '?')} has been writing to this region since {found.get('since', '?')}, "
        f"{_who(owner)}. Wait for it, or stop it first; --force takes the region all the same"
    )


def _who(owner: dict[str, Any]) -> str:
    if "queue" in owner:
        return f"by way of {owner['queue']}"
    return f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _load(blob: Blob) -> dict[str, Any]:
    """What a lock says; nothing where it can't be understood: it is nobody's then."""
    try:
        found = json.loads(bytes(blob.data))
        boxes = {key: Bbox.from_list(box) for key, box in found["boxes"].items()}
        whole = all(len(box.minpt) == 3 for box in boxes.values()) and found["expires"] >= 0
        return found if whole and _is_owner(found["owner"]) else {}
    except UNREADABLE:
        return {}


def _is_owner(owner: Any) -> bool:
    """Whether this can be the owner of a lock: a process, or those who share a queue."""
    if not isinstance(owner, dict):
        return False
    if "queue" in owner:
        return True
    return type(owner.get("pid")) is int and 0 < owner["pid"] < MOST_PIDS and {"host", "started"} <= owner.keys()
