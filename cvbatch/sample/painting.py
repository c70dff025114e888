"""The picture of a section: its grey levels before any noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias, TypeVar

import numpy as np

from cvbatch.sample.cells import Ball
from cvbatch.sample.grid import SECTION, Bools, Floats, Grid, squared
from cvbatch.sample.labels import Field
from cvbatch.sample.organelles import Body, Scene

AnyBall = TypeVar("AnyBall", bound=Ball)
Stamp: TypeAlias = tuple[tuple[int, ...], ...]

MEMBRANE = 62  # grey level
RIM = 28  # grey levels that the membrane of an organelle is darker than its inside
FOLDS = 20  # grey levels of the folds inside
DENSITY = 85  # grey levels that membranes are darker in the middle of a synapse
CLEARANCE = 8  # gap, in units, that keeps small things off the membrane

# Grey levels, pixel by pixel, that small things are darker than the cell.
MICROTUBULE: Stamp = ((8, 26, 8), (26, 60, 26), (8, 26, 8))
VESICLE: Stamp = (
    (0, 22, 34, 22, 0),
    (22, 26, 0, 26, 22),
    (34, 0, -14, 0, 34),
    (22, 26, 0, 26, 22),
    (0, 22, 34, 22, 0),
)


@dataclass(frozen=True)
class Canvas:
    """A section (y, x) that is painted: by how many grey levels it is darker than the cells, and where these are."""

    dark: Floats
    field: Field
    depth: float

    def near(self, ball: Ball) -> tuple[tuple[slice, ...], tuple[float, Floats, Floats]]:
        """The box of pixels around the cut through a ball, and their offsets (z, y, x) from its center."""
        dz = self.depth - ball.center[0]
        half = sqrt(ball.radius * ball.radius - dz * dz)
        box, (dy, dx) = Grid(self.dark.shape, (1.0, 1.0)).near(ball.center[1:], half)
        return box, (dz, dy, dx)


def paint(scene: Scene, section: Field, z: int, rng: np.random.Generator) -> Floats:
    """Grey levels of section ``z``, (y, x)."""
    canvas = Canvas(np.zeros_like(section.gap), section, z * SECTION)
    dark, gap = canvas.dark, section.gap
    for body in _cut(scene.bodies, canvas.depth):
        _paint_body(canvas, body)
    free = (gap > CLEARANCE) & (dark < 4)
    crowded = np.zeros_like(free)
    for swarm in _cut(scene.swarms, canvas.depth):
        box, offsets = canvas.near(swarm)
        crowded[box] |= (squared(*offsets) < swarm.radius * swarm.radius) & (section.cells[box] == swarm.cell)
    # One on so many pixels, roughly.
    _scatter(dark, MICROTUBULE, free, dark.size // 150, rng)
    _scatter(dark, VESICLE, free, dark.size // 1000, rng)
    _scatter(dark, VESICLE, free & crowded, dark.size // 80, rng)
    for synapse in _cut(scene.synapses, canvas.depth):
        box, offsets = canvas.near(synapse)
        inside = _clipped(1 - squared(*offsets) / (synapse.radius * synapse.radius))
        dark[box] += DENSITY * inside * _clipped(1 - gap[box] / 14)
    tone: Floats = scene.greys[section.cells] - dark
    # Membranes replace what is below instead of adding to it: nothing gets black.
    cover = _clipped(1.2 - gap / 4)
    cover *= cover * (3 - 2 * cover)
    tone += (MEMBRANE - tone) * cover
    return tone


def _cut(balls: list[AnyBall], depth: float) -> Iterator[AnyBall]:
    """Those of the balls that a section cuts."""
    return (ball for ball in balls if abs(ball.center[0] - depth) < ball.radius)


def _paint_body(canvas: Canvas, body: Body) -> None:
    """Darken an organelle, within its cell only."""
    box, (dz, dy, dx) = canvas.near(body)
    z, y, x = body.axis
    across = body.radius * body.slim
    along = dz * z + dy * y + dx * x
    around = squared(dz, dy, dx) - along * along
    squares = np.maximum(around / (across * across) + along * along / (body.radius * body.radius), 0)
    # Units from its surface inwards.
    inside = across * (1 - np.sqrt(squares))
    # Cristae: bent sheets.
    folds = _wave((dx * y - dy * x + 0.7 * dz + along * along / (4 * body.radius) + around / 100) / 6)
    shade = body.dark + RIM * _clipped(1 - np.abs(inside - 1.4) * 0.6) + FOLDS * folds * _clipped(inside / 2 - 1)
    # Replaces what is below, where organelles overlap.
    cover = _clipped(inside) * _clipped((canvas.field.gap[box] - 5) / 4) * (canvas.field.cells[box] == body.cell)
    canvas.dark[box] += (shade - canvas.dark[box]) * cover


def _scatter(dark: Floats, stamp: Stamp, allowed: Bools, tries: int, rng: np.random.Generator) -> None:
    """Add a stamp at random places, where allowed."""
    ny, nx = dark.shape
    y, x = rng.integers(0, ny, tries), rng.integers(0, nx, tries)
    y, x = y[allowed[y, x]], x[allowed[y, x]]
    for row, values in enumerate(stamp, -(len(stamp) // 2)):
        for column, value in enumerate(values, -(len(values) // 2)):
            # What hangs over an edge comes back at the other, where it does no harm.
            dark[(y + row) % ny, (x + column) % nx] += value


def _clipped(values: Floats) -> Floats:
    """Values limited to 0..1."""
    return np.minimum(np.maximum(values, 0), 1)


def _wave(values: Floats) -> Floats:
    """Triangle wave of period 1 within -1..1."""
    return np.abs(values - np.floor(values) - 0.5) * 4 - 1
