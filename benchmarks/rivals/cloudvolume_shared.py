"""CloudVolume's ``download_to_shared_memory``: ``cloudvolume_shared.py VOLUME PARALLEL CALLS``; prints JSON."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time

import numpy as np
from cloudvolume import CloudVolume


def main(path: str, parallel: int, calls: int) -> None:
    """The median of all calls but the first, and a digest of the voxels."""
    volume = CloudVolume(f"file://{path}", parallel=parallel, progress=False)
    seconds = []
    for _ in range(calls + 1):
        begin = time.perf_counter()
        voxels = volume.download_to_shared_memory(volume.bounds)
        seconds.append(time.perf_counter() - begin)
    digest = hashlib.blake2b(np.ascontiguousarray(np.asarray(voxels).T)).hexdigest()
    volume.unlink_shared_memory()
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "first": seconds[0], "digest": digest}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
