"""Commands of cvbatch as processes, and what they leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from cvbatch.memory import list_segments, sweep_segments
from cvbatch.storage import open_store

CVBATCH = (sys.executable, "-m", "cvbatch.cli.main")
SECONDS = 90.0
# A signal that means that memory was touched which is not there: never the answer to a lack of room.
SIGBUS = -7


def cvbatch(*arguments: object, before: Sequence[str] = (), **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with ``before`` in front of it; a hang is an error."""
    words = [*before, *CVBATCH, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS, **options)


def answer(*arguments: object, status: int = 0) -> dict[str, Any]:
    """The JSON that a command answers."""
    done = cvbatch(*arguments, "--json")
    assert done.returncode == status, (arguments, done.returncode, done.stderr, done.stdout)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def config_file(path: Path, **keys: Any) -> Path:
    """A configuration as a file."""
    path.write_text(yaml.safe_dump(keys))
    return path


def objects(folder: Path) -> dict[str, bytes]:
    """What a job has left, but for its state and the provenance, which says when."""
    store = open_store(f"file://{folder}")
    keys = [key for key in store.list() if not key.startswith(".cvbatch/") and key != "provenance"]
    return {key: bytes(store.get(key).data) for key in keys}  # type: ignore[union-attr]


def receipts(folder: Path) -> list[tuple[int, int, int]]:
    """Pass, start and stop of each receipt below a destination."""
    names = [path.stem.split("-") for path in folder.glob(".cvbatch/*/receipts/*.json")]
    return sorted((int(number), int(start), int(stop)) for number, start, stop in names)


def tasks_of(ranges: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The tasks of receipts, each as often as it is in one."""
    return [(number, index) for number, start, stop in ranges for index in range(start, stop)]


def until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    """Wait for something; whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def below(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """A process that was started here, and all that it has started."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def left_over(seen: Iterable[psutil.Process], seconds: float = 5.0) -> list[psutil.Process]:
    """Those that still live so long after they should have ended; a pid that is used again is none of them."""
    known = set(seen)
    until(lambda: not any(_lives(each) for each in known), seconds)
    return [each for each in known if _lives(each)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def orphans_after_sweep() -> list[str]:
    """The segments without an owner that are there after five seconds and a sweep."""
    if not until(lambda: all(segment.owned for segment in list_segments()), 5.0):
        sweep_segments()
    return [segment.name for segment in list_segments() if not segment.owned]


def endpoint(queue: Mapping[str, Any]) -> list[str]:
    """How a queue is reached, as options."""
    given = {"--endpoint": queue.get("endpoint"), "--region-name": queue.get("region_name")}
    return [word for pair in given.items() if pair[1] for word in pair]
