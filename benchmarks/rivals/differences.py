"""What two volumes differ in, as CloudVolume reads them: ``differences.py ONE OTHER``; prints JSON.

For each scale of the first: the largest difference of two voxels, and the share of voxels that differ.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from cloudvolume import CloudVolume


def main(one: str, other: str) -> None:
    """Slabs of 64 sections, so that little is in memory."""
    found = []
    for mip in range(len(CloudVolume(f"file://{one}").info["scales"])):
        a, b = (CloudVolume(f"file://{path}", mip=mip, progress=False) for path in (one, other))
        if a.bounds != b.bounds:
            raise ValueError(f"mip {mip}: {a.bounds} and {b.bounds}")
        largest = differing = 0
        for z in range(int(a.bounds.minpt.z), int(a.bounds.maxpt.z), 64):
            x, y = (np.asarray(each[:, :, z : min(z + 64, int(a.bounds.maxpt.z))]) for each in (a, b))
            where = x != y
            if where.any():
                differing += int(where.sum())
                x, y = x[where], y[where]
                largest = max(largest, int((np.maximum(x, y) - np.minimum(x, y)).max()))
        found.append({"mip": mip, "largest": largest, "share": differing / int(np.prod(a.shape))})
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
