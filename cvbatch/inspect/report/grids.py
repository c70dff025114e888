"""The grid of a pass as pictures: slabs along z, cells that stand for one task or for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cvbatch.inspect.report.data import DONE, FAILED, FILLED, LEFT, PassReport
from cvbatch.inspect.report.text import number

MOST_SLABS = 24
MOST_CELLS_A_SIDE = 120
# What one page can hold of all passes: a cell takes about a hundred bytes.
MOST_CELLS = 6000
FEWEST_CELLS = 400

# What cells look like, in the order of the legend.
LOOKS = {
    "done": "done",
    "fill": "done, absent chunks filled",
    "part": "partly done",
    "left": "not done",
    "fail": "failed",
}
NAMES = {LEFT: "not done", DONE: "done", FILLED: "filled", FAILED: "failed"}


@dataclass(frozen=True)
class Cell:
    """One or more tasks: where (voxels x0, y0, x1, y1), how it looks, and in words."""

    box: tuple[int, int, int, int]
    look: str
    words: str


@dataclass(frozen=True)
class Slab:
    """The cells of voxels [z0, z1)."""

    z0: int
    z1: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class GridView:
    """A pass, drawn: ``per_cell`` tasks (x, y, z) are one cell; ``bounds`` are voxels x0, y0, x1, y1."""

    per_cell: tuple[int, int, int]
    bounds: tuple[int, int, int, int]
    slabs: tuple[Slab, ...]

    @property
    def looks(self) -> list[str]:
        """Those that occur, in the order of the legend."""
        seen = {cell.look for slab in self.slabs for cell in slab.cells}
        return [look for look in LOOKS if look in seen]


def tasks_per_cell(shape: tuple[int, int, int], most: int) -> tuple[int, int, int]:
    """How many tasks (x, y, z) are one cell, so that there are at most so many cells.

    >>> tasks_per_cell((8, 8, 4), 400), tasks_per_cell((100, 100, 100), 6000)
    ((1, 1, 1), (6, 6, 5))
    """
    nx, ny, nz = shape
    deep = -(-nz // MOST_SLABS)
    slabs = -(-nz // deep)
    wide = 1
    while -(-max(nx, ny) // wide) > MOST_CELLS_A_SIDE or (
        -(-nx // wide) * -(-ny // wide) * slabs > most and wide < max(nx, ny)
    ):
        wide += 1
    return wide, wide, deep


def grid_views(passes: tuple[PassReport, ...]) -> list[GridView]:
    """All passes, drawn so that a page can hold them."""
    most = max(FEWEST_CELLS, MOST_CELLS // max(1, len(passes)))
    return [grid_view(each, most) for each in passes]


def grid_view(each: PassReport, most: int) -> GridView:
    """A pass, drawn with at most so many cells."""
    nz, ny, nx = each.status.shape
    per_cell = tasks_per_cell((nx, ny, nz), most)
    grid = each.plan.grid
    counts = {status: _blocks(each.status == status, per_cell) for status in NAMES}
    names = _names(each) if per_cell == (1, 1, 1) else None
    edges = [
        [*range(low, high, cell * many), high]
        for low, high, cell, many in zip(grid.bounds.minpt, grid.bounds.maxpt, grid.cell, per_cell, strict=True)
    ]
    xs, ys, zs = edges
    slabs = []
    for k, (z0, z1) in enumerate(pairwise(zs)):
        layer = {status: count[k] for status, count in counts.items()}
        slabs.append(Slab(z0, z1, tuple(_cells(layer, xs, ys, None if names is None else names[k]))))
    return GridView(per_cell, (xs[0], ys[0], xs[-1], ys[-1]), tuple(slabs))


def _names(each: PassReport) -> NDArray[np.int64]:
    """The number of each cell's task (z, y, x)."""
    cells = np.arange(each.status.size)
    if each.plan.picked is not None:
        cells = np.full(each.status.size, -1)
        cells[list(each.plan.picked)] = np.arange(len(each.plan.picked))
    return cells.reshape(each.status.shape)


def _blocks(mask: NDArray[np.bool_], per_cell: tuple[int, int, int]) -> NDArray[np.int64]:
    """How many are True in each block of (x, y, z) elements of an array (z, y, x)."""
    counts = mask.astype(np.int64)
    for axis, step in enumerate(per_cell[::-1]):
        counts = np.add.reduceat(counts, np.arange(0, mask.shape[axis], step), axis=axis)
    return counts


def _cells(
    counts: dict[int, NDArray[np.int64]], xs: list[int], ys: list[int], names: NDArray[np.int64] | None
) -> Iterator[Cell]:
    for j, (y0, y1) in enumerate(pairwise(ys)):
        for i, (x0, x1) in enumerate(pairwise(xs)):
            found = {status: int(count[j, i]) for status, count in counts.items() if count[j, i]}
            if not found:
                continue  # A sample has left it out.
            look = _look(found)
            words = _words(found) if names is None else f"Task {names[j, i]}: {LOOKS[look]}"
            yield Cell((x0, y0, x1, y1), look, words)


def _look(found: dict[int, int]) -> str:
    """What matters most of some tasks: failures never hide behind what went well."""
    if FAILED in found:
        return "fail"
    if LEFT in found:
        return "left" if len(found) == 1 else "part"
    return "fill" if FILLED in found else "done"


def _words(found: dict[int, int]) -> str:
    total = sum(found.values())
    parts = ", ".join(f"{number(count)} {NAMES[status]}" for status, count in sorted(found.items(), reverse=True))
    return f"{number(total)} tasks: {parts}"
