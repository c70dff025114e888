"""What is in the cells: which organelles, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from cvbatch.sample.cells import Ball
from cvbatch.sample.grid import Floats, Point

CYTOPLASM = 146  # grey level of the darkest cells
VARIETY = 34  # grey levels that the lightest ones are lighter
SWOLLEN = 14  # units: the radius from which a cell may hold a swarm of vesicles
ROOMY = 12.5  # units: the radius from which it may hold mitochondria


@dataclass(frozen=True)
class Body(Ball):
    """An ellipsoid: a ball made ``slim`` times as wide across its axis, ``dark`` grey levels darker than the cell."""

    axis: Point
    slim: float
    dark: float


@dataclass(frozen=True)
class Scene:
    """Grey levels by cell, mitochondria and the like, swarms of vesicles, and synapses."""

    greys: Floats
    bodies: list[Body]
    swarms: list[Ball]
    synapses: list[Ball]


def furnish(balls: list[Ball], rng: np.random.Generator) -> Scene:
    """Choose what is in the cells."""
    u, v = rng.random((2, max(ball.cell for ball in balls) + 1))
    greys = (CYTOPLASM + VARIETY * u * v).astype(np.float32)
    swarms = [ball for ball in balls if ball.radius > SWOLLEN and rng.random() < 0.18]
    # On the surface, more or less: only the membranes in a synapse show.
    synapses = [Ball(_beside(ball, 1.2, rng), 11 + 11 * rng.random(), ball.cell) for ball in swarms]
    return Scene(greys, list(_bodies(balls, rng)), swarms, synapses)


def _bodies(balls: list[Ball], rng: np.random.Generator) -> Iterator[Body]:
    """Mitochondria along thick tubes; endosomes and reticulum anywhere."""
    for last, ball in pairwise(balls):
        if last.cell != ball.cell:
            continue
        z, y, x = (to - since for to, since in zip(ball.center, last.center, strict=True))
        length = sqrt(z * z + y * y + x * x)
        axis = (z / length, y / length, x / length)
        chance, u, v, w = rng.random(4).tolist()
        if ball.radius > ROOMY and chance < 0.12:
            across, stretch = min(24.0, ball.radius * (0.45 + 0.25 * u)), 1.2 + 2 * v
            yield Body(ball.center, across * stretch, ball.cell, axis, 1 / stretch, 42 + 12 * w)
        elif chance > 0.94:
            across, stretch = 3 + 4.5 * u * u, 1 + 2 * v * v
            yield Body(_beside(ball, 0.5, rng), across * stretch, ball.cell, axis, 1 / stretch, 26 * w - 8)


def _beside(ball: Ball, far: float, rng: np.random.Generator) -> Point:
    """A random point up to so many radii from a ball's center along each axis."""
    return tuple(c + far * ball.radius * (2 * rng.random() - 1) for c in ball.center)
