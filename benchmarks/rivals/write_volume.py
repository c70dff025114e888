"""An array as a Precomputed volume, by CloudVolume: ``write_volume.py ARRAY.npy DESTINATION gzip|none TYPE X,Y,Z``."""

from __future__ import annotations

import sys

import numpy as np
from cloudvolume import CloudVolume


def main(array: str, destination: str, compress: str, layer_type: str, resolution: list[int]) -> None:
    """Chunks of 64³, raw."""
    voxels = np.load(array, mmap_mode="r")
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
    volume = CloudVolume(
        f"file://{destination}", info=info, compress="gzip" if compress == "gzip" else False, progress=False
    )
    volume.commit_info()
    volume.commit_provenance()
    for z in range(0, voxels.shape[2], 64):
        volume[:, :, z : z + 64] = np.asfortranarray(voxels[:, :, z : z + 64])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], [int(each) for each in sys.argv[5].split(",")])
