"""Where the time of a task goes, beside what each stage can't be faster than: ``python -m benchmarks.budget EM SEG``.

EM and SEG are the folders of volumes in chunks of 64³ with gzip, as ``python -m benchmarks`` leaves them in its work
directory. Prints the tables of docs/performance.md. Stages are those of ``cvbatch run --json`` with one process and one
thread, the median of five runs; limits are the library or the kernel's call alone, one thread, in a loop over the same
bytes, the best of five rounds. Microseconds are of a chunk that is read.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deflate
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from cvbatch.geometry import Vec
from cvbatch.ops import downsample, kernel_for
from cvbatch.process.environment import KEEP_PAGES, ONE_BLAS_THREAD

ROUNDS = 5
CHUNK = [128, 128, 64]


@dataclass(frozen=True)
class Case:
    """A job, and what its stages are held against: a name and the microseconds of a chunk that is read."""

    title: str
    volume: Path
    config: dict[str, Any]
    limits: Callable[[Path], dict[str, tuple[str, float]]]


def stages(case: Case, folder: Path) -> dict[str, float]:
    """Microseconds a chunk that is read, by stage; ``rest`` is what tasks took besides."""
    runs = []
    for _ in range(ROUNDS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = case.volume
        if case.config["job"] == "downsample":
            source = folder / "out"
            shutil.copytree(case.volume, source)
        config = {**case.config, "source": f"file://{source}", "workers": {"processes": 1, "threads": 1}}
        if case.config["job"] == "transfer":
            config["destination"] = {"path": f"file://{folder / 'out'}", **case.config["destination"]}
        config["state"] = f"file://{folder / 'state'}"
        (folder / "job.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "cvbatch", "run", str(folder / "job.yaml"), "--json", "--quiet"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        read = report["chunks"]["read"]
        found = {name: 1e6 * spent / read for name, spent in report["stages"].items() if spent}
        receipts = [json.loads(path.read_text()) for path in (folder / "state").rglob("receipts/*.json")]
        tasks = 1e6 * sum(sum(each["seconds"]) for each in receipts) / read
        runs.append({**found, "rest": tasks - sum(found.values())})
    return {name: statistics.median(run.get(name, 0.0) for run in runs) for name in runs[0]}


def best(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Microseconds of an item."""
    rounds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for item in items:
            work(item)
        rounds.append(time.perf_counter() - begin)
    return 1e6 * min(rounds) / len(items)


def read_file(path: str) -> bytes:
    """All bytes of a file, by as few calls as there can be."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.pread(handle, os.fstat(handle).st_size, 0)
    finally:
        os.close(handle)


def paths_of(volume: Path) -> list[str]:
    """The chunks of the finest scale."""
    key = json.loads((volume / "info").read_text())["scales"][0]["key"]
    return sorted(str(path) for path in (volume / key).iterdir())


def gunzip(data: bytes) -> bytearray:
    """By libdeflate, of a length that the file tells."""
    return deflate.gzip_decompress(data, int.from_bytes(data[-4:], "little"))


def writing(chunks: Iterable[bytes]) -> float:
    """Microseconds to write each into a new file."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:

        def write(numbered: tuple[int, bytes]) -> None:
            handle = os.open(f"{folder}/{numbered[0]}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(handle, numbered[1])
            os.close(handle)
            os.unlink(f"{folder}/{numbered[0]}")

        return best(write, list(enumerate(chunks)))


def reading(volume: Path) -> tuple[dict[str, tuple[str, float]], list[bytearray]]:
    """The limits of fetching and decoding, and what the chunks hold."""
    paths = paths_of(volume)
    stored = [read_file(path) for path in paths]
    limits = {
        "fetch": ("open and pread, the file in the page cache", best(read_file, paths)),
        "decode": ("libdeflate", best(gunzip, stored)),
    }
    return limits, [gunzip(data) for data in stored[:64]]


def em_limits(volume: Path) -> dict[str, tuple[str, float]]:
    """Of case a, whose levels together have 21/16 of the voxels."""
    limits, chunks = reading(volume)
    voxels = [np.frombuffer(data, np.uint8).reshape((64, 64, 64), order="F") for data in chunks]
    slab = np.empty((512, 512, 64, 1), np.uint8, order="F")
    coarser = np.empty((256, 256, 64, 1), np.uint8, order="F")
    flat = np.empty(voxels[0].size, np.uint8)
    for number, each in enumerate(voxels):
        x, y = 64 * (number % 8), 64 * (number // 8)
        slab[x : x + 64, y : y + 64, :, 0] = each
    whole = [slab[x : x + 128, y : y + 128].tobytes("F") for x in range(0, 512, 128) for y in range(0, 512, 128)]
    packed = [isal_zlib.compress(each, 1, 31) for each in whole]
    # Of 64 chunks that are read 16 are made, and as many voxels once more by 5/16.
    share = 16 / 64 * 21 / 16
    kernel = kernel_for("average", sparse=False)

    def mean(_: int) -> None:
        downsample(slab, Vec(2, 2, 1), kernel, 0, out=coarser)

    return limits | {
        "paint": ("a copy in one run", best(lambda each: np.copyto(flat, each.ravel(order="K")), voxels)),
        "downsample": ("the kernel on a warm slab", best(mean, [0]) / 64 * 5 / 4),
        "encode": ("ISA-L, level 1", share * best(lambda each: isal_zlib.compress(each, 1, 31), whole)),
        "store": ("open, write, close and unlink, in tmpfs", share * writing(packed)),
    }


def label_limits(volume: Path) -> dict[str, tuple[str, float]]:
    """Of case e, whose new levels together have 21/64 of the voxels."""
    limits, chunks = reading(volume)
    voxels = [np.frombuffer(data, np.uint64).reshape((64, 64, 64, 1), order="F") for data in chunks]
    kernel = kernel_for("mode", sparse=False)
    coarser = [downsample(each, Vec(2, 2, 1), kernel) for each in voxels]
    # A chunk of the first new level is made of four.
    whole = [np.concatenate(coarser[i : i + 4], axis=0).tobytes("F") for i in range(0, 64, 4)]
    packed = [bytes(deflate.gzip_compress(each, 6)) for each in whole]
    share = 21 / 64
    out = np.empty_like(coarser[0], order="F")

    def warm(each: NDArray[Any]) -> float:
        return best(lambda _: downsample(each, Vec(2, 2, 1), kernel, 0, out=out), [0])

    return limits | {
        "downsample": ("the kernel on a chunk in the cache", statistics.mean(map(warm, voxels)) * 21 / 16),
        "encode": ("libdeflate, level 6", share * best(lambda each: deflate.gzip_compress(each, 6), whole)),
        "store": ("open, write, close and unlink, in tmpfs", share * writing(packed)),
    }


def table(case: Case, folder: Path) -> str:
    """A Markdown table."""
    found, limits = stages(case, folder), case.limits(case.volume)
    total = sum(found.values())
    lines = [
        f"### {case.title}",
        "",
        "| stage | µs | share | limit, µs | what that is | to it |",
        "|---|---|---|---|---|---|",
    ]
    for name, spent in found.items():
        what, limit = limits.get(name, ("", 0.0))
        told = f"{limit:,.0f} | {what} | {spent / limit:.2f}×" if limit else "| |"
        lines.append(f"| {name} | {spent:,.0f} | {100 * spent / total:.0f} % | {told} |")
    known = sum(limit for name, (_, limit) in limits.items() if name in found)
    lines.append(f"| together | {total:,.0f} | | {known:,.0f} | | {total / known:.2f}× |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("em", type=Path)
    parser.add_argument("seg", type=Path)
    said = parser.parse_args()
    # glibc and OpenBLAS have read their variables by now: the limits are taken in a process that has what workers have.
    wanted = {**KEEP_PAGES, **ONE_BLAS_THREAD}
    if not wanted.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.budget", *sys.argv[1:]], {**os.environ, **wanted})
    cases = [
        Case(
            "EM to 128×128×64 with two mips (case a)",
            said.em.resolve(),
            {"job": "transfer", "destination": {"chunk_size": CHUNK, "compress": "gzip"}, "downsample": {"mips": 2}},
            em_limits,
        ),
        Case(
            "Three mips of labels in place (case e)",
            said.seg.resolve(),
            {"job": "downsample", "downsample": {"mips": 3}},
            label_limits,
        ),
    ]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        print("\n\n".join(table(case, Path(folder, "job")) for case in cases))


if __name__ == "__main__":
    main()
