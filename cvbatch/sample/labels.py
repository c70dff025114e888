"""The label field: which cell is where, and how far the next one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvbatch.sample.cells import Ball
from cvbatch.sample.grid import SECTION, Floats, Grid, Labels, squared
from cvbatch.sample.noise import smooth_noise

SPACING = (SECTION, 2.0, 2.0)  # units: distances are smooth enough for every other point in y and x
SPREAD = 6.0  # units that cells extend beyond their balls, before extracellular space begins
WOBBLE = 3.5  # units that noise shifts the surface of a cell at the most
REACH = SPREAD + WOBBLE + 6.0  # units from a ball to the farthest point where it matters, with half a membrane
ALONE = 24.0  # units that a second cell is thought to be farther than SPREAD, where none is near
SHIFTS = 40  # points: by up to so many, each cell has its noise elsewhere


@dataclass(frozen=True)
class Field:
    """The cell at each point of a grid, 0 for extracellular space, and its gap.

    That is how many units farther the second cell is than the first: about twice the distance to the border.
    """

    cells: Labels
    gap: Floats

    def section(self, z: int, shape: tuple[int, int]) -> Field:
        """A section (y, x) of all its points."""
        columns, column_gap = _fill_in(self.cells[z].T, self.gap[z].T)
        cells, gap = _fill_in(columns.T, column_gap.T)
        return Field(cells[: shape[0], : shape[1]], gap[: shape[0], : shape[1]])


def _fill_in(cells: Labels, gap: Floats) -> tuple[Labels, Floats]:
    """Insert a row between any two.

    The gap, with opposite signs in two cells, is linear across their border: hence a new point belongs to the
    neighbor with the larger gap.
    """
    more_cells, more_gap = np.repeat(cells, 2, axis=0)[:-1], np.repeat(gap, 2, axis=0)[:-1]
    same = cells[:-1] == cells[1:]
    more_cells[1::2] = np.where(gap[:-1] >= gap[1:], cells[:-1], cells[1:])
    more_gap[1::2] = np.where(same, gap[:-1] + gap[1:], np.abs(gap[:-1] - gap[1:])) / 2
    return more_cells, more_gap


def label_field(balls: list[Ball], size: tuple[int, int, int], rng: np.random.Generator) -> Field:
    """The nearest cells in a volume of (z, y, x) voxels, with surfaces made uneven by noise."""
    grid = Grid((size[0], size[1] // 2 + 1, size[2] // 2 + 1), SPACING)
    cells = np.zeros(grid.shape, np.int32)
    first, second = np.full((2, *grid.shape), SPREAD, np.float32)
    second += ALONE
    noise = WOBBLE * smooth_noise(tuple(count + SHIFTS for count in grid.shape), rng)
    shifts = rng.integers(0, SHIFTS, max(ball.cell for ball in balls) + 1).tolist()
    for ball in balls:
        box, offsets = grid.near(ball.center, ball.radius + REACH)
        shift = shifts[ball.cell]
        distance = np.sqrt(squared(*offsets)) - ball.radius
        distance += noise[tuple(slice(part.start + shift, part.stop + shift) for part in box)]
        near, far, cell = first[box], second[box], cells[box]
        # The loser of the two is second, unless both are the same cell.
        loser = np.maximum(distance, near)
        np.copyto(loser, np.inf, where=cell == ball.cell)
        np.minimum(far, loser, out=far)
        np.copyto(cell, ball.cell, where=distance < near)
        np.minimum(near, distance, out=near)
    return Field(cells, second - first)
