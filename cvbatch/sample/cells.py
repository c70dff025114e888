"""Cells: tubes of balls, each grown through the space that the ones before it have left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvbatch.sample.grid import SECTION, Floats, Grid, Point, squared

Vectors: TypeAlias = NDArray[np.float64]  # (3,) or (n, 3)

PITCH = 5.0  # units between the points at which free space is known
MARGIN = 20.0  # units that cells grow beyond the volume, so that its faces cut through them
ROOM = 80.0  # units of free space where no cell is near
SHORTEST = 6  # balls in the shortest cell


@dataclass(frozen=True)
class Ball:
    """A part of a cell, in units. Cells count from 1."""

    center: Point
    radius: float
    cell: int


@dataclass(frozen=True)
class Calibre:
    """Radii and length of some cells, in units, and how many there are in 10⁶ cubic units."""

    thin: float
    thick: float
    length: float
    density: float


# Thick ones first: thin ones fill what they leave, and single balls what tubes can't.
CALIBRES = (
    Calibre(24.0, 40.0, 900.0, 0.2),
    Calibre(15.5, 24.0, 900.0, 1.5),
    Calibre(11.5, 15.5, 900.0, 4.5),
    Calibre(9.5, 11.5, 800.0, inf),
    Calibre(7.0, 16.0, 0.0, inf),
)


class Space:
    """What the balls so far have left free, known at the points of a grid."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        nz, ny, nx = (ceil((length + 2 * MARGIN) / PITCH) + 1 for length in (size[0] * SECTION, size[1], size[2]))
        # Units to the nearest cell. There is no room at the outermost points, so that cells stay within.
        self.free = np.pad(np.full((nz, ny, nx), ROOM, np.float32), 1)
        self.nearest = np.zeros(self.free.shape, np.int32)  # that cell, or 0
        self.grid = Grid(self.free.shape, (PITCH, PITCH, PITCH), -MARGIN - PITCH)

    def starts(self, radius: float, rng: np.random.Generator) -> Iterator[tuple[Point, float, int]]:
        """Places with room for a radius when their turn comes, with that room and the nearest cell."""
        free, nearest = self.free.reshape(-1), self.nearest.reshape(-1)
        for number in rng.permutation(np.flatnonzero(free >= radius)).tolist():
            if free[number] >= radius:
                index = np.array(np.unravel_index(number, self.grid.shape))
                point = (index * PITCH + self.grid.origin).tolist()
                yield tuple(point), float(free[number]), int(nearest[number])

    def room(self, points: Vectors) -> Floats:
        """Distances to the nearest cell, known to half a pitch."""
        index = ((points - self.grid.origin) / PITCH + 0.5).astype(np.intp)
        z, y, x = np.minimum(np.maximum(index, 0), np.array(self.grid.shape) - 1).T
        rooms: Floats = self.free[z, y, x]
        return rooms

    def take(self, ball: Ball, reach: float) -> None:
        """Account for a ball, up to ``reach`` from its surface."""
        box, offsets = self.grid.near(ball.center, ball.radius + reach)
        distance = np.sqrt(squared(*offsets)) - ball.radius
        free = self.free[box]
        np.copyto(self.nearest[box], ball.cell, where=distance < free)
        np.minimum(distance, free, out=free)


def grow_cells(size: tuple[int, int, int], rng: np.random.Generator) -> list[Ball]:
    """Fill a volume of (z, y, x) voxels."""
    space, balls, cells = Space(size), list[Ball](), 0
    for calibre in CALIBRES:
        wanted = calibre.density * space.free.size * PITCH**3 * 1e-6 + rng.random()
        for start, room, neighbor in space.starts(calibre.thin, rng):
            if wanted < 1:
                break
            radius = min(room, calibre.thin + (calibre.thick - calibre.thin) * rng.random() * rng.random())
            tube = list(_grow(space, start, radius, calibre.length, rng))
            if len(tube) >= SHORTEST or not neighbor:
                cells, wanted = cells + 1, wanted - 1
                cell = cells
            else:
                # A stub makes a poor cell. Its place goes to a neighbor: a lobe that just touches it.
                cell, tube = neighbor, [(start, room)]
            for center, thickness in tube:
                balls.append(Ball(center, thickness, cell))
                space.take(balls[-1], 1.5 * calibre.thick)
    return balls


def _grow(
    space: Space, start: Point, radius: float, length: float, rng: np.random.Generator
) -> Iterator[tuple[Point, float]]:
    """Centers and radii of a ball and of those along two arms from there, which wind and end where there is no room."""
    yield start, radius
    # More cells run across the sections than within them.
    aim = _unit((rng.random(3) - 0.5) * (2.5, 1.0, 1.0))
    length *= 0.25 + 0.5 * rng.random()
    for way in (aim, -aim):
        point, axis, current, left = np.array(start), way, radius, length
        while left > 0:
            step = 0.9 * current
            turns = _unit(axis + 0.4 * way + 2.0 * rng.random((8, 3)) - 1.0)
            rooms = space.room(point + turns * step)
            # Where there is just enough room, so that tubes bundle and leave few voids.
            best = int(np.argmin(np.abs(rooms - radius)))
            room = float(rooms[best])
            if room < max(CALIBRES[-1].thin, 0.45 * radius):
                break
            axis, point, left = turns[best], point + turns[best] * step, left - step
            # Tubes swell and narrow: varicosities.
            current = min(room, 0.6 * current + 0.4 * radius * (0.6 + 0.9 * rng.random()))
            yield tuple(point.tolist()), current


def _unit(vectors: Vectors) -> Vectors:
    """Vectors scaled to length 1."""
    z, y, x = vectors.T
    scaled: Vectors = (vectors.T / np.sqrt(z * z + y * y + x * x)).T
    return scaled
