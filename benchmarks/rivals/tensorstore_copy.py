"""Rechunk a Precomputed volume with TensorStore: ``tensorstore_copy.py SOURCE DESTINATION X Y Z WAY``.

``WAY`` is ``copy``: one write of the whole store; or ``loop``: boxes of whole chunks of the destination, by two threads
of this process. Either way TensorStore has two threads for voxels and two for files, and doesn't sync files.
"""

from __future__ import annotations

import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorstore as ts

CONTEXT = {
    "data_copy_concurrency": {"limit": 2},
    "file_io_concurrency": {"limit": 2},
    "file_io_sync": False,
}
BOX = (512, 512, 64)


def spec(path: str) -> dict[str, object]:
    """A volume below a folder."""
    return {"driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": path + "/"}}


def main(source: str, destination: str, chunk: list[int], way: str) -> None:
    """Make the destination and fill it."""
    context = ts.Context(CONTEXT)
    info = json.loads(Path(source, "info").read_text())
    scale = info["scales"][0]
    old = ts.open(spec(source), context=context, open=True).result()
    metadata = {
        "multiscale_metadata": {
            "type": info["type"],
            "data_type": info["data_type"],
            "num_channels": info["num_channels"],
        },
        "scale_metadata": {
            "size": scale["size"],
            "voxel_offset": scale["voxel_offset"],
            "resolution": scale["resolution"],
            "encoding": "raw",
            "chunk_size": chunk,
        },
    }
    new = ts.open({**spec(destination), **metadata}, context=context, create=True).result()
    if way == "copy":
        new.write(old).result()
        return

    def move(corner: tuple[int, ...]) -> None:
        box = tuple(slice(at, min(at + step, size)) for at, step, size in zip(corner, BOX, scale["size"], strict=True))
        new[box].write(old[box].read().result()).result()

    corners = itertools.product(*(range(0, size, step) for size, step in zip(scale["size"], BOX, strict=True)))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(move, corners))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(each) for each in sys.argv[3:6]], sys.argv[6])
