"""One worker that does very many small tasks, watched."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from volumes import make_scale, noise

from cvbatch.formats.precomputed import write_info
from cvbatch.memory import list_segments
from cvbatch.metadata import VolumeInfo, VoxelType
from cvbatch.storage import Blob, open_store

from .commands import CVBATCH, answer, below, config_file, orphans_after_sweep

# Each chunk of the destination is painted from two of the source, by way of shared memory.
CHUNK, MADE = (16, 16, 8), [16, 16, 16]
# What the figures of the first tasks say is of starting up.
WARM_SHARE = 0.2


def endure(folder: Path, tasks: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Copy a volume chunk by chunk, a task each; how memory, handles and threads went.

    Raises AssertionError where one of them grows.
    """
    _write_source(folder, tasks)
    config = config_file(
        folder / "job.yaml",
        job="transfer",
        source=f"file://{folder}/a",
        destination={"path": f"file://{folder}/b", "chunk_size": MADE},
        # A budget that holds one chunk of the destination, so that each is a task.
        workers={"processes": 1, "threads": 1, "memory": _smallest_memory(folder)},
    )
    total = answer("plan", config)["tasks"]
    say(f"tasks: {total} tasks")
    begin = time.monotonic()
    with open(folder / "out", "wb") as out:
        process = subprocess.Popen([*CVBATCH, "run", str(config), "--quiet"], stdout=out, stderr=subprocess.STDOUT)
        samples = list(_watched(process, folder, say))
    assert process.returncode == 0, (folder / "out").read_text()[-2000:]
    assert orphans_after_sweep() == []
    seconds = time.monotonic() - begin
    return {"tasks": total, "tasks_a_second": round(total / seconds, 1), **_judged(samples, total)}


def _write_source(folder: Path, tasks: int) -> None:
    """A volume for so many tasks; its chunks are all the same bytes."""
    size = (MADE[0] * 100, MADE[1] * 10, MADE[2] * -(-tasks // 1000))
    scale = make_scale(size, chunk_size=CHUNK)
    store = open_store(f"file://{folder}/a")
    data = bytes(noise(CHUNK).tobytes("F"))
    for x in range(0, size[0], CHUNK[0]):
        for y in range(0, size[1], CHUNK[1]):
            for z in range(0, size[2], CHUNK[2]):
                name = f"{x}-{x + CHUNK[0]}_{y}-{y + CHUNK[1]}_{z}-{z + CHUNK[2]}"
                store.put(f"{scale.key}/{name}", Blob(data))
    write_info(store, VolumeInfo(VoxelType("image", "uint8", 1), (scale,)))


def _smallest_memory(folder: Path) -> int:
    """The least budget that a plan accepts, found by halving."""
    import cvbatch
    from cvbatch.errors import MemoryBudgetError

    low, high = 1, 64 << 20
    while high - low > 256:
        middle = (low + high) // 2
        config = {
            "job": "transfer",
            "source": f"file://{folder}/a",
            "destination": {"path": f"file://{folder}/b", "chunk_size": MADE},
            "workers": {"processes": 1, "threads": 1, "memory": middle},
        }
        try:
            cvbatch.plan(config)
            high = middle
        except MemoryBudgetError:
            low = middle
    return high


def _watched(process: subprocess.Popen[bytes], folder: Path, say: Callable[[str], None]) -> Any:
    """Tasks done, and resident bytes, handles and threads of the supervisor and its worker, each second."""
    last = time.monotonic()
    while process.poll() is None:
        time.sleep(1.0)
        done = sum(1 for _ in (folder / "b").glob(".cvbatch/*/receipts/*.json"))
        try:
            tree = below(process)
            if len(tree) < 2:
                continue
            yield (
                done,
                *(each.memory_info().rss for each in tree[:2]),
                *(each.num_fds() for each in tree[:2]),
                *(each.num_threads() for each in tree[:2]),
                len(list_segments()),
            )
        except psutil.NoSuchProcess:
            continue
        if time.monotonic() - last > 30:
            last = time.monotonic()
            say(f"tasks: {done} receipts")


NAMES = (
    "supervisor_bytes",
    "worker_bytes",
    "supervisor_handles",
    "worker_handles",
    "supervisor_threads",
    "worker_threads",
    "segments",
)


def _judged(samples: list[tuple[int, ...]], total: int) -> dict[str, Any]:
    """First and last of each figure after warming up, and how much the line through them rises in all."""
    assert len(samples) >= 10, f"only {len(samples)} samples: more tasks are needed"
    rows = np.array(samples[int(WARM_SHARE * len(samples)) :], float)
    seconds = np.arange(len(rows))
    found = {}
    for place, name in enumerate(NAMES, 1):
        column = rows[:, place]
        slope = np.polyfit(seconds, column, 1)[0] * len(rows)
        found[name] = {
            "first": int(column[0]),
            "last": int(column[-1]),
            "most": int(column.max()),
            "rise": round(slope),
        }
    # A supervisor keeps a few words of each task that is done.
    most = {"supervisor_bytes": 2000 * total + (4 << 20), "worker_bytes": 8 << 20}
    for name, figures in found.items():
        assert figures["rise"] <= most.get(name, 3), f"{name} grows: {figures}"
    return found
