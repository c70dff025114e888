"""Grids of cells, against what counting voxels one by one gives."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbatch.geometry import Bbox, ChunkGrid, Vec

few = settings(max_examples=150, deadline=None)


def voxels(box: Bbox) -> set[tuple[int, ...]]:
    return set(itertools.product(*(range(a, b) for a, b in zip(box.minpt, box.maxpt, strict=True))))


@st.composite
def grids(draw, least=0):
    start = draw(st.tuples(*[st.integers(-5, 5)] * 3))
    size = draw(st.tuples(*[st.integers(least, 7)] * 3))
    return ChunkGrid(Bbox.from_delta(start, size), Vec(*draw(st.tuples(*[st.integers(1, 4)] * 3))))


@st.composite
def boxes(draw):
    """Boxes in, around and beside the grids above."""
    start = draw(st.tuples(*[st.integers(-7, 9)] * 3))
    return Bbox.from_delta(start, draw(st.tuples(*[st.integers(0, 9)] * 3)))


def cells_of(grid: ChunkGrid) -> dict[Vec, Bbox]:
    """All cells by index, in the order of their numbers."""
    counts = [len(range(0, n, c)) for n, c in zip(grid.bounds.size(), grid.cell, strict=True)]
    found = {}
    for z, y, x in itertools.product(*map(range, reversed(counts))):
        start = [b + i * c for b, i, c in zip(grid.bounds.minpt, (x, y, z), grid.cell, strict=True)]
        stop = [min(s + c, m) for s, c, m in zip(start, grid.cell, grid.bounds.maxpt, strict=True)]
        found[Vec(x, y, z)] = Bbox(start, stop)
    return found


def test_known_grid():
    # given 100 × 64 × 30 voxels in cells of 64, from (10, 0, 0) on
    grid = ChunkGrid(Bbox((10, 0, 0), (110, 64, 30)), Vec(64, 64, 64))
    # then there are two cells, the second cut by the edge
    assert grid.shape == (2, 1, 1)
    assert len(grid) == 2
    assert [grid.box(grid.index(i)) for i in range(2)] == [
        Bbox((10, 0, 0), (74, 64, 30)),
        Bbox((74, 0, 0), (110, 64, 30)),
    ]


@few
@given(grids())
def test_cells_tile_the_bounds(grid):
    # when all cells are taken in the order of their numbers
    boxes = [grid.box(grid.index(number)) for number in range(len(grid))]
    # then they are those of brute force, and each voxel is in one of them
    assert boxes == list(cells_of(grid).values())
    assert sum(box.volume() for box in boxes) == grid.bounds.volume()
    assert set().union(*map(voxels, boxes)) == voxels(grid.bounds)


@few
@given(grids())
def test_number_is_the_inverse_of_index(grid):
    for number, index in enumerate(cells_of(grid)):
        assert grid.index(number) == index
        assert grid.number(index) == number


@pytest.mark.parametrize("number", [-1, 4, 10**30])
def test_no_cell_outside_of_the_grid(number):
    grid = ChunkGrid(Bbox((0, 0, 0), (4, 4, 1)), Vec(2, 2, 1))
    with pytest.raises(IndexError, match=f"cell {number} of a grid of 4"):
        grid.index(number)


@few
@given(grids(), boxes())
def test_indices_are_the_cells_that_share_a_voxel(grid, box):
    # given the cells that share a voxel with a box, found one by one
    sharing = [index for index, cell in cells_of(grid).items() if cell.intersects(box)]
    # then the same come out, in the order of their numbers
    assert list(grid.indices(box)) == sharing
    assert grid.index_range(box).volume() == len(sharing)


@few
@given(grids(least=1), boxes())
def test_expand_is_the_union_of_touched_cells(grid, box):
    # given the voxels of all cells that the box touches
    touched = [cell for cell in cells_of(grid).values() if cell.intersects(box)]
    # then the expanded box is made of just these
    assert voxels(grid.expand(box)) == set().union(*map(voxels, touched))


@few
@given(grids(least=1), boxes())
def test_shrink_is_the_union_of_contained_cells(grid, box):
    # given the voxels of all cells inside the box
    inside = voxels(box)
    whole = [cell for cell in cells_of(grid).values() if voxels(cell) <= inside]
    # then the shrunk box is made of just these
    assert voxels(grid.shrink(box)) == set().union(*map(voxels, whole))


@few
@given(grids(least=1), boxes().filter(lambda box: not box.empty()))
def test_aligned_means_made_of_whole_cells(grid, box):
    whole = [cell for cell in cells_of(grid).values() if voxels(cell) <= voxels(box)]
    assert grid.is_aligned(box) == (set().union(*map(voxels, whole)) == voxels(box))


@few
@given(grids(least=1), boxes())
def test_expand_and_shrink_are_aligned(grid, box):
    # when a box is moved onto the cells
    larger, smaller = grid.expand(box), grid.shrink(box)
    # then both results are on them, and enclose what of the box is in the bounds
    assert larger.empty() or grid.is_aligned(larger)
    assert smaller.empty() or grid.is_aligned(smaller)
    assert larger.contains_bbox(box.intersection(grid.bounds))
    assert box.contains_bbox(smaller)


def test_grid_of_a_petavoxel_is_not_walked():
    # given a volume with 2**60 cells, far from the origin
    start = Vec(2**64, -(2**64), 7)
    grid = ChunkGrid(Bbox.from_delta(start, 2**26), Vec(64, 64, 64))
    # then the last cell and the cells of a small box are there at once
    assert grid.shape.product() == 2**60
    last = grid.index(2**60 - 1)
    assert last == Vec(2**20 - 1, 2**20 - 1, 2**20 - 1)
    assert grid.box(last).maxpt == grid.bounds.maxpt
    assert list(grid.indices(Bbox.from_delta(start + 63, (2, 1, 1)))) == [Vec(0, 0, 0), Vec(1, 0, 0)]
