"""Nothing but libdeflate: ``decode.py SCALE_FOLDER PROCESSES CALLS``; prints JSON.

Each process has half of the gzip files in memory, and decompresses each into bytes that it lets go. All wait for each
other before a round; the time of a round is that of the slowest.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import deflate


def rounds(files: list[Path], calls: int, barrier: Any, times: Any) -> None:
    """Decode all files, ``calls`` times and once more."""
    data = [path.read_bytes() for path in files]
    sizes = [int.from_bytes(each[-4:], "little") for each in data]
    seconds = []
    for _ in range(calls + 1):
        barrier.wait()
        begin = time.perf_counter()
        for each, size in zip(data, sizes, strict=True):
            deflate.gzip_decompress(each, size)
        seconds.append(time.perf_counter() - begin)
    times.put(seconds)


def main(folder: Path, processes: int, calls: int) -> None:
    """The median of all rounds but the first."""
    files = sorted(folder.glob("*.gz"))
    barrier: Any = multiprocessing.Barrier(processes)
    times: Any = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=rounds, args=(files[i::processes], calls, barrier, times))
        for i in range(processes)
    ]
    for each in workers:
        each.start()
    seconds = [max(each) for each in zip(*(times.get() for _ in workers), strict=True)]
    for each in workers:
        each.join()
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "first": seconds[0]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
