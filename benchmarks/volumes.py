"""Real data as Precomputed volumes: ``python -m benchmarks.volumes EM.npz SEG.ckl DIRECTORY``.

Writes ``em`` (uint8, raw + gzip, 64³) and ``seg`` (uint64, raw + gzip, 64³) with CloudVolume's reader as the judge
of what is read back: the writer is not the program that is measured or tried.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import crackle
import numpy as np
from cloudvolume import CloudVolume
from numpy.typing import NDArray


def write(path: Path, voxels: NDArray[np.generic], layer_type: str, resolution: tuple[int, int, int]) -> None:
    """One volume (x, y, z) in chunks of 64³ with gzip, by CloudVolume."""
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type=layer_type,
        data_type=str(voxels.dtype),
        encoding="raw",
        resolution=resolution,
        voxel_offset=(0, 0, 0),
        chunk_size=(64, 64, 64),
        volume_size=voxels.shape,
    )
    volume = CloudVolume(f"file://{path.resolve()}", info=info, compress="gzip", progress=False)
    volume.commit_info()
    volume[:, :, :] = voxels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("em", type=Path, help="npz with the array em (x, y, z), uint8")
    parser.add_argument("seg", type=Path, help="crackle stream of labels (x, y, z)")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    write(arguments.directory / "em", np.load(arguments.em)["em"], "image", (4, 4, 50))
    labels = crackle.decompress(arguments.seg.read_bytes()).astype(np.uint64)
    write(arguments.directory / "seg", labels, "segmentation", (4, 4, 40))


if __name__ == "__main__":
    main()
