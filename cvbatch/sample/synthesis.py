"""Synthesis of an EM-like image and its segmentation, without any input data.

The volume is like a block of neuropil. Each cell is a chain of balls, grown through space that other cells have
left. A voxel belongs to the cell whose surface is nearest, and the image is painted from the same distances, so
that membranes are exactly on the borders of the segmentation.

The bytes must not depend on the machine. Hence only operations that IEEE 754 rounds exactly (+, -, *, /, sqrt) and
sums of integers are used: no exp, sin, log, BLAS or normal variates, whose last bits depend on CPU and libraries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbatch.sample.cells import grow_cells
from cvbatch.sample.labels import label_field
from cvbatch.sample.noise import expose
from cvbatch.sample.organelles import furnish
from cvbatch.sample.painting import paint

ODD = 0x9E3779B97F4A7C15  # the golden ratio as a fraction of 2⁶⁴: scatters counts


def synthesize(
    size: tuple[int, int, int] = (512, 512, 64), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """An image within 1..255 and its segmentation, both Fortran-ordered arrays (x, y, z).

    ``size`` is in voxels of 8 × 8 × 40 nm. Label 0 is extracellular space, under one per cent of the volume.
    The same size and seed give the same bytes.
    """
    if min(size) < 1:
        raise ValueError(f"size must be positive numbers of voxels, not {size}")
    shape = nz, ny, nx = size[2], size[1], size[0]
    rng = np.random.Generator(np.random.PCG64(seed))
    balls = grow_cells(shape, rng)
    field = label_field(balls, shape, rng)
    scene = furnish(balls, rng)
    # Labels of 56 bits, as in large segmentations, find out what rounds them to floats or cuts them to 32 bits.
    # They differ, since multiplication by an odd number is a bijection, also modulo a power of two; 0 stays 0.
    labels = np.arange(len(scene.greys), dtype=np.uint64) * np.uint64(ODD) % np.uint64(1 << 56)
    image, segmentation = np.empty(shape, np.uint8), np.empty(shape, np.uint64)
    for z in range(nz):
        section = field.section(z, (ny, nx))
        image[z] = expose(paint(scene, section, z, rng), rng)
        segmentation[z] = labels[section.cells]
    return image.T, segmentation.T
