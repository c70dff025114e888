"""A box cut into cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from cvbatch.geometry.bbox import Bbox
from cvbatch.geometry.vec import Vec, ceil_div


@dataclass(frozen=True)
class ChunkGrid:
    """``bounds`` cut into cells of ``cell`` voxels, counted from ``bounds.minpt``.

    Cells at the far edges are cut short by the bounds. Cells have an index (a Vec of cell counts)
    and a number (Fortran order: x runs fastest).

    >>> grid = ChunkGrid(Bbox((10, 0, 0), (110, 64, 30)), Vec(64, 64, 64))
    >>> grid.shape, grid.box(Vec(1, 0, 0))
    (Vec(2, 1, 1), Bbox((74, 0, 0), (110, 64, 30)))
    """

    bounds: Bbox
    cell: Vec

    @property
    def shape(self) -> Vec:
        """Number of cells along each axis."""
        return ceil_div(self.bounds.size(), self.cell)

    def __len__(self) -> int:
        return self.shape.product()

    def index(self, number: int) -> Vec:
        """The index of cell ``number`` (0 <= number < len)."""
        if not 0 <= number < len(self):
            raise IndexError(f"cell {number} of a grid of {len(self)}")
        shape = self.shape
        x, rest = number % shape.x, number // shape.x
        return Vec(x, rest % shape.y, rest // shape.y)

    def number(self, index: Vec) -> int:
        """The inverse of :meth:`index`."""
        shape = self.shape
        return index.x + shape.x * (index.y + shape.y * index.z)

    def box(self, index: Vec) -> Bbox:
        """The voxels of one cell, cut by the bounds."""
        # Number by number: this is asked for several times a chunk, and vector arithmetic takes 4 times as long.
        axes = zip(index, self.cell, self.bounds.minpt, self.bounds.maxpt, strict=True)
        edges = [(min(low + i * cell, high), min(low + i * cell + cell, high)) for i, cell, low, high in axes]
        (x0, x1), (y0, y1), (z0, z1) = edges
        return Bbox(Vec(x0, y0, z0), Vec(x1, y1, z1))

    def index_range(self, box: Bbox) -> Bbox:
        """The indices of the cells that share a voxel with ``box``, as a half-open box of indices."""
        inside = box.intersection(self.bounds)
        if inside.empty():
            return Bbox(Vec.zeros(), Vec.zeros())
        relative = inside - self.bounds.minpt
        return Bbox(relative.minpt // self.cell, ceil_div(relative.maxpt, self.cell))

    def indices(self, box: Bbox) -> Iterator[Vec]:
        """The indices of the cells that share a voxel with ``box``, x fastest."""
        span = self.index_range(box)
        axes = [range(a, b) for a, b in zip(span.minpt, span.maxpt, strict=True)]
        for z, y, x in itertools.product(*reversed(axes)):
            yield Vec(x, y, z)

    def expand(self, box: Bbox) -> Bbox:
        """The smallest box of whole cells that contains ``box``, cut by the bounds."""
        span = self.index_range(box)
        return Bbox(
            self.bounds.minpt + span.minpt * self.cell,
            (self.bounds.minpt + span.maxpt * self.cell).minimum(self.bounds.maxpt),
        )

    def shrink(self, box: Bbox) -> Bbox:
        """The largest box of whole cells inside ``box``; a cell cut by the bounds counts as whole."""
        inside = box.intersection(self.bounds)
        first = self.bounds.minpt + ceil_div(inside.minpt - self.bounds.minpt, self.cell) * self.cell
        last = self.bounds.minpt + (inside.maxpt - self.bounds.minpt) // self.cell * self.cell
        ends = [
            edge if stop == edge else floor
            for stop, edge, floor in zip(inside.maxpt, self.bounds.maxpt, last, strict=True)
        ]
        return Bbox(first, Vec(*ends).maximum(first))

    def is_aligned(self, box: Bbox) -> bool:
        """Whether ``box`` is made of whole cells."""
        return self.bounds.contains_bbox(box) and self.expand(box) == box
