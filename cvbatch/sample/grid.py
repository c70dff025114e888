"""Regular grids in space, and their points near a place.

Lengths are in units of one x step of the volume, 8 nm. Points, shapes and arrays are (z, y, x), which is the
Fortran order of (x, y, z) seen from the other end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[Any]  # float32: type checkers lose track of it next to a Python number
Labels: TypeAlias = NDArray[np.int32]
Point: TypeAlias = tuple[float, ...]

SECTION = 5.0  # units from one section to the next: 40 nm / 8 nm


@dataclass(frozen=True)
class Grid:
    """Points ``spacing`` units apart along each axis, from ``origin`` on."""

    shape: tuple[int, ...]
    spacing: Point
    origin: float = 0.0

    def near(self, center: Point, reach: float) -> tuple[tuple[slice, ...], tuple[Floats, ...]]:
        """The box of points up to ``reach`` from a center along each axis, and their offsets, to be broadcast.

        >>> box, (dy, dx) = Grid((9, 9), (1.0, 2.0)).near((0.0, 5.0), 2.0)
        >>> box, dy.tolist(), dx.tolist()
        ((slice(0, 3, None), slice(2, 4, None)), [[0.0], [1.0], [2.0]], [-1.0, 1.0])
        """
        box, offsets = [], []
        for axis, (count, spacing) in enumerate(zip(self.shape, self.spacing, strict=True)):
            middle = center[axis] - self.origin
            start = max(0, ceil((middle - reach) / spacing))
            stop = max(start, min(count, floor((middle + reach) / spacing) + 1))
            box.append(slice(start, stop))
            line = np.arange(start, stop, dtype=np.float32) * spacing - middle
            offsets.append(line.reshape(-1, *[1] * (len(self.shape) - 1 - axis)))
        return tuple(box), tuple(offsets)


def squared(z: Floats | float, y: Floats, x: Floats) -> Floats:
    """The squared length of vectors."""
    squares: Floats = z * z + y * y + x * x
    return squares
