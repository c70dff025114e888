"""Synthesis of an EM-like image and its segmentation, without any input data.

The volume models a block of neuropil at 8 x 8 x 40 nm per voxel.  Each cell is a tube: a
chain of balls that was grown through space not yet taken by other cells.  Every voxel
belongs to the cell whose surface is nearest, and the image is painted from the same
distances, so that membranes lie exactly on the borders of the segmentation.

Lengths are in units of one x step (8 nm); one z step is 5 units.  Internally, arrays are
C-ordered (z, y, x), which is the Fortran order of (x, y, z) seen from the other end.

The bytes must not depend on the machine.  Hence only operations that IEEE 754 rounds
exactly (+, -, *, /, sqrt) and integer sums are used: no exp, sin, log, BLAS or normal
variates, whose last bits depend on the CPU and its libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["synthesize"]

_F32 = NDArray[np.float32]
_F64 = NDArray[np.float64]
_I32 = NDArray[np.int32]

_Z_STEP = 5.0
"""Units per section: 40 nm / 8 nm."""

_PITCH = 5.0
"""Spacing, in units, of the lattice on which free space is tracked."""

_MARGIN = 20.0
"""Cells are grown this many units beyond the volume, so that its faces cut through them."""

_CLASSES = (
    # radius from, radius to, cells per 10**6 cubic units, length in units
    (24.0, 40.0, 0.2, 900.0),
    (15.5, 24.0, 1.5, 900.0),
    (11.5, 15.5, 4.5, 900.0),
    (9.5, 11.5, 1e9, 800.0),
)
"""Calibres of the cells, thickest first: thin ones fill what the thick ones leave."""

_SHORTEST = 6
"""Number of balls a cell must have to be one of its own."""

_LOBE = 7.0
"""Radius, in units, of the smallest ball."""

_SPREAD = 6.0
"""How far, in units, cells extend beyond their balls before extracellular space begins."""

_WOBBLE = 3.5
"""Largest shift, in units, of a cell's surface by noise."""

_REACH = 6.0
"""Difference of distances, in units, up to which a voxel is touched by a membrane."""

_TILE = (40, 128, 128)
"""Period (z, y, x) of smooth noise, in points: larger than the box of any ball."""

_Ball = tuple[float, float, float, float]
"""Center (x, y, z) and radius in units."""

_PAD = 4
"""Border, in pixels, around a section while it is painted: half a stamp or more."""

_MEMBRANE = 62.0
"""Grey level of a membrane."""

_TEXTURE = 24.0
_GRAIN = 0.01
_SHOT = 0.05
"""Amplitudes of the noise of the tissue, coarse and fine, and of the electrons."""

_STAMPS = (
    (
        (0.0, 22.0, 34.0, 22.0, 0.0),
        (22.0, 26.0, 0.0, 26.0, 22.0),
        (34.0, 0.0, -14.0, 0.0, 34.0),
        (22.0, 26.0, 0.0, 26.0, 22.0),
        (0.0, 22.0, 34.0, 22.0, 0.0),
    ),
    (
        (0.0, 0.0, 18.0, 30.0, 18.0, 0.0, 0.0),
        (0.0, 30.0, 34.0, 14.0, 34.0, 30.0, 0.0),
        (18.0, 34.0, 0.0, -10.0, 0.0, 34.0, 18.0),
        (30.0, 14.0, -10.0, -14.0, -10.0, 14.0, 30.0),
        (18.0, 34.0, 0.0, -10.0, 0.0, 34.0, 18.0),
        (0.0, 30.0, 34.0, 14.0, 34.0, 30.0, 0.0),
        (0.0, 0.0, 18.0, 30.0, 18.0, 0.0, 0.0),
    ),
    (
        (0.0, 14.0, 26.0, 14.0, 0.0),
        (14.0, 44.0, 58.0, 44.0, 14.0),
        (26.0, 58.0, 66.0, 58.0, 26.0),
        (14.0, 44.0, 58.0, 44.0, 14.0),
        (0.0, 14.0, 26.0, 14.0, 0.0),
    ),
)
"""Darkness, pixel by pixel, of vesicles: clear, large and dense-cored."""

_DOT = ((8.0, 26.0, 8.0), (26.0, 60.0, 26.0), (8.0, 26.0, 8.0))
"""Darkness of a microtubule cut across."""


@dataclass(frozen=True)
class _Balls:
    """All balls of all cells: the tubes, cell after cell, then the lobes.

    `centers` is (n, 3) float64, (x, y, z) in units; `radii` (n,) float64 in units; `cells`
    (n,) int32 counts from 1.
    """

    centers: _F64
    radii: _F64
    cells: _I32


@dataclass(frozen=True)
class _Field:
    """Which cell is where, on a grid with a point every 2 units in x and y.

    `owner` is (z, y, x) int32, 0 for extracellular space; `gap` is (z, y, x) float32: how
    much farther, in units, the second nearest cell is than the owner, about twice the
    distance to the border.
    """

    owner: _I32
    gap: _F32


@dataclass(frozen=True)
class _Blob:
    """An ellipsoidal organelle of one cell.

    `center` and the unit vector `axis` are (x, y, z); `along` and `across` are the semi-axes
    in units.  `fill`, `rim` and `stripes` are the darkness, in grey levels, of the inside, of
    its membrane and of the folds inside.
    """

    center: tuple[float, float, float]
    axis: tuple[float, float, float]
    along: float
    across: float
    cell: int
    fill: float
    rim: float
    stripes: float

    def halves(self) -> tuple[float, float, float]:
        """Half the size of the bounding box (x, y, z), in units."""
        thin, long = self.across * self.across, self.along * self.along
        x, y, z = (sqrt(max(0.0, thin + (long - thin) * a * a)) for a in self.axis)
        return x, y, z


@dataclass(frozen=True)
class _Scene:
    """What fills the cells, by section where it pays.

    `greys` is (cells + 1,) float32; `vesicles` holds an (n, 3) int32 array per section: x, y
    and the cell, or -1 for any; `tubules` is (n, 4) float64: x and y at z = 0 and the drift
    of both per section; `synapses` is (n, 4) float64: x, y, z and radius in units.
    """

    greys: _F32
    blobs: list[list[_Blob]]
    vesicles: list[_I32]
    tubules: _F64
    synapses: _F64


def synthesize(
    size: tuple[int, int, int] = (512, 512, 64), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """EM-like image and its segmentation, both Fortran-ordered arrays (x, y, z).

    `size` is in voxels of 8 x 8 x 40 nm.  The image is uint8 within 1..255.  The
    segmentation is uint64; 0 is extracellular space, under one per cent of the volume.  The
    same size and seed give the same bytes.
    """
    if len(size) != 3 or min(size) < 1:
        raise ValueError(f"size must be three positive numbers of voxels, not {size}")
    rng = np.random.Generator(np.random.PCG64(seed))
    balls = _pack(size, rng)
    field = _rasterize(balls, size, rng)
    scene = _furnish(balls, field, size, rng)
    labels = _labels(balls)
    nx, ny, nz = size
    texture = _smooth_noise(_TILE, (1, 3, 3), rng) * np.float32(_TEXTURE)
    image = np.empty((nz, ny, nx), np.uint8)
    segmentation = np.empty((nz, ny, nx), np.uint64)
    for z in range(nz):
        owner, gap = _enlarge(field.owner[z], field.gap[z], (ny, nx))
        np.take(labels, owner, out=segmentation[z], mode="clip")
        tone = _draw(scene, owner, gap, z)
        image[z] = _expose(tone, texture[z % len(texture)], rng)
    return image.T, segmentation.T


def _labels(balls: _Balls) -> NDArray[np.uint64]:
    """Label of each cell: (cells + 1,) uint64, with 0 for 0.

    Built like the supervoxel ids of large segmentations: a layer byte, a byte each for the
    x, y and z of the block where the cell starts, and a 32-bit number within.  The latter
    alone is unique, since multiplication by an odd number is a bijection modulo 2**32.
    """
    cells, first = np.unique(balls.cells, return_index=True)
    labels = np.zeros(int(balls.cells.max()) + 1, np.uint64)
    for cell, start in zip(cells.tolist(), first.tolist(), strict=True):
        x, y, z = (floor(c / 64.0) + 37 & 0xFF for c in balls.centers[start].tolist())
        number = cell * 0x9E3779B1 & 0xFFFFFFFF
        labels[cell] = 1 << 56 | x << 48 | y << 40 | z << 32 | number
    return labels


# Cells: growing tubes


class _Space:
    """Free space around the balls placed so far, tracked on a lattice."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        nx, ny, nz = size
        extent = np.array([nx, ny, nz * _Z_STEP])
        self.high = (extent + _MARGIN).tolist()
        shape = [ceil((e + 2 * _MARGIN) / _PITCH) + 1 for e in extent.tolist()]
        self.last = np.array(shape) - 1
        self.volume = float(shape[0] * shape[1] * shape[2]) * _PITCH**3
        # Distance to the nearest surface, capped, and whose it is: (x, y, z).
        self.free = np.full(shape, 2 * _CLASSES[0][1], np.float32)
        self.owner = np.zeros(shape, np.int32)

    def inside(self, point: _F64) -> bool:
        """Whether (x, y, z) lies within the volume and its margin."""
        pairs = zip(point.tolist(), self.high, strict=True)
        return all(-_MARGIN <= c <= high for c, high in pairs)

    def clearance(self, points: _F64) -> _F32:
        """Distance to the nearest surface, within half a lattice step: (n, 3) to (n,)."""
        index = ((points + _MARGIN) * (1 / _PITCH) + 0.5).astype(np.intp)
        index = np.minimum(np.maximum(index, 0), self.last)
        rooms: _F32 = self.free[index[:, 0], index[:, 1], index[:, 2]]
        return rooms

    def starts(self, radius: float, rng: np.random.Generator) -> Iterator[tuple[int, float]]:
        """Nodes that have room for the radius when their turn comes, and their room."""
        free = self.free.reshape(-1)
        nodes = np.flatnonzero(free >= radius)
        rng.shuffle(nodes)
        for node in nodes.tolist():
            room = float(free[node])
            if room >= radius:
                yield node, room

    def point(self, node: int) -> _F64:
        """Position (x, y, z) of a node."""
        index = np.array(np.unravel_index(node, self.free.shape), np.float64)
        return index * _PITCH - _MARGIN

    def take(self, ball: _Ball, cell: int, reach: float) -> None:
        """Account for a new ball, as far as `reach` from its surface."""
        half = ball[3] + reach
        counts = self.last.tolist()
        (i, dx), (j, dy), (k, dz) = (
            _span(c + _MARGIN, half, _PITCH, n + 1) for c, n in zip(ball, counts, strict=False)
        )
        distance = np.sqrt(((dx * dx)[:, None] + dy * dy)[:, :, None] + dz * dz)
        distance -= np.float32(ball[3])
        free, owner = self.free[i, j, k], self.owner[i, j, k]
        np.copyto(owner, cell, where=distance < free)
        np.minimum(free, distance, out=free)


def _pack(size: tuple[int, int, int], rng: np.random.Generator) -> _Balls:
    """Fill the volume: with tubes, thick ones first, then the rest with lobes of them."""
    space = _Space(size)
    rows: list[_Ball] = []
    cells: list[int] = []
    count = 0
    for low, high, density, length in _CLASSES:
        wanted = floor(density * space.volume * 1e-6 + float(rng.random()))
        for node, room in space.starts(low, rng):
            if wanted <= 0:
                break
            u = float(rng.random())
            radius = min(room, low + (high - low) * u * u)
            chain = _grow(space, space.point(node), radius, length, rng)
            # A stub makes a poor cell: its place is left to a lobe of a neighbor.  In the
            # open there is none near; there, lobes would also exceed what `take` reached.
            if len(chain) < _SHORTEST and room < 1.4 * high:
                continue
            count += 1
            wanted -= 1
            for ball in chain:
                space.take(ball, count, 1.5 * high)
            rows += chain
            cells += [count] * len(chain)
    for node, room in space.starts(_LOBE, rng):
        x, y, z = space.point(node).tolist()
        cell = int(space.owner.flat[node])
        space.take((x, y, z, room), cell, 2 * _LOBE)
        rows.append((x, y, z, room))
        cells.append(cell)
    flat = np.array(rows)
    return _Balls(flat[:, :3].copy(), flat[:, 3].copy(), np.array(cells, np.int32))


def _grow(space: _Space, start: _F64, radius: float, length: float, rng: np.random.Generator) -> list[_Ball]:
    """Balls of one cell: the start, then the balls along its two arms."""
    axis = rng.random(3) - 0.5
    # More tubes run across the sections than within them.
    axis[2] *= 2.5
    axis /= sqrt(float(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2])) + 1e-9
    length *= 0.25 + 0.5 * float(rng.random())
    forth = _arm(space, (start, axis), radius, length, rng)
    back = _arm(space, (start, -axis), radius, length, rng)
    x, y, z = start.tolist()
    return [(x, y, z, radius), *forth, *back]


def _arm(
    space: _Space,
    ray: tuple[_F64, _F64],
    radius: float,
    length: float,
    rng: np.random.Generator,
) -> list[_Ball]:
    """Balls along a ray (start, axis), without the start, for as long as there is room."""
    balls: list[_Ball] = []
    point, aim = ray
    axis, current = aim, radius
    while length > 0 and space.inside(point):
        step = 0.9 * current
        noise = rng.random((8, 3))
        turns = axis + 0.4 * aim + (noise - 0.5) * 2.0
        xs, ys, zs = turns[:, 0], turns[:, 1], turns[:, 2]
        turns /= np.sqrt(xs * xs + ys * ys + zs * zs)[:, None]
        rooms = space.clearance(point + turns * step)
        # Where there is just enough room, so that tubes bundle and leave few voids.
        best = int(np.argmin(np.abs(rooms - radius)))
        room = float(rooms[best])
        if room < max(_LOBE, 0.45 * radius):
            break
        # Tubes swell and narrow: varicosities.
        target = radius * (0.6 + 0.9 * float(noise[0, 0]))
        current = min(room, 0.6 * current + 0.4 * target)
        axis = turns[best]
        point = point + axis * step
        length -= step
        x, y, z = point.tolist()
        balls.append((x, y, z, current))
    return balls


# Segmentation: the nearest cell of each voxel


def _smooth_noise(shape: tuple[int, ...], widths: tuple[int, ...], rng: np.random.Generator) -> _F32:
    """Periodic smooth noise within -1..1, of features about `widths` points large."""
    noise = rng.integers(-128, 128, shape, np.int16).astype(np.int64)
    for axis, width in enumerate(widths):
        for _ in range(3):
            lines = np.moveaxis(noise, axis, 0)
            total = np.cumsum(np.concatenate([lines, lines[:width]]), axis=0)
            noise = np.moveaxis(total[width:] - total[:-width], 0, axis)
    peak = max(1, int(np.abs(noise).max()))
    return np.ascontiguousarray(noise / peak, np.float32)


def _rasterize(balls: _Balls, size: tuple[int, int, int], rng: np.random.Generator) -> _Field:
    """Nearest cell on the half-size grid, with surfaces shifted by noise.

    Half size, since distances are smooth: `_enlarge` finds borders between the points.
    """
    nx, ny, nz = size
    shape = (nz, ny // 2 + 1, nx // 2 + 1)
    nearest = np.full(shape, _SPREAD, np.float32)
    second = np.full(shape, _SPREAD + 4 * _REACH, np.float32)
    owner = np.zeros(shape, np.int32)
    noise = _smooth_noise(_TILE, (2, 6, 6), rng) * np.float32(0.7 * _WOBBLE)
    noise += _smooth_noise(_TILE, (1, 3, 3), rng) * np.float32(0.3 * _WOBBLE)
    # Repeated, so that any box can be cut out in one piece.
    noise = np.tile(noise, (2, 2, 2))
    shifts = rng.integers(0, _TILE, (int(balls.cells.max()) + 1, 3))
    rows = zip(balls.centers.tolist(), balls.radii.tolist(), balls.cells.tolist(), strict=True)
    for center, radius, cell in rows:
        half = radius + _SPREAD + _REACH + _WOBBLE
        x, y, z = center
        i, dz = _span(z, half, _Z_STEP, nz)
        j, dy = _span(y, half, 2.0, shape[1])
        k, dx = _span(x, half, 2.0, shape[2])
        box = i, j, k
        view = owner[box]
        if view.size == 0:
            continue
        score = np.sqrt((dz * dz)[:, None, None] + ((dy * dy)[:, None] + dx * dx))
        score += noise[_wrapped(box, shifts[cell].tolist())]
        score -= np.float32(radius)
        near, far = nearest[box], second[box]
        # The loser of the two is second, unless both are the same cell.
        loser = np.maximum(score, near)
        np.copyto(loser, np.inf, where=view == cell)
        np.minimum(far, loser, out=far)
        np.copyto(view, cell, where=score < near)
        np.minimum(near, score, out=near)
    second -= nearest
    return _Field(owner, second)


def _span(center: float, half: float, spacing: float, count: int) -> tuple[slice, _F32]:
    """Grid points within `half` units of a center, along one axis: where, and their offsets."""
    start = max(0, ceil((center - half) / spacing))
    stop = max(start, min(count, floor((center + half) / spacing) + 1))
    points = np.arange(start, stop, dtype=np.float32)
    return slice(start, stop), points * np.float32(spacing) - np.float32(center)


def _wrapped(box: tuple[slice, slice, slice], shift: list[int]) -> tuple[slice, slice, slice]:
    """The box, shifted, within the repeated noise tile."""
    parts: list[slice] = []
    for part, by, period in zip(box, shift, _TILE, strict=True):
        start = (part.start + by) % period
        parts.append(slice(start, start + part.stop - part.start))
    return parts[0], parts[1], parts[2]


def _enlarge(owner: _I32, gap: _F32, shape: tuple[int, int]) -> tuple[_I32, _F32]:
    """A section of the half-size grid at full size: owner and gap, both (y, x)."""
    for axis in (0, 1):
        owner, gap = _double(owner, gap, axis)
    return owner[: shape[0], : shape[1]], gap[: shape[0], : shape[1]]


def _double(owner: _I32, gap: _F32, axis: int) -> tuple[_I32, _F32]:
    """Insert a point between any two along the axis.

    The gap, with opposite signs in two cells, is linear across their border: hence a new
    point belongs to the neighbor with the larger gap.
    """
    shape = list(owner.shape)
    shape[axis] = 2 * shape[axis] - 1
    owners, gaps = np.empty(shape, np.int32), np.empty(shape, np.float32)
    even: list[slice] = [slice(None)] * 2
    odd, head, tail = even.copy(), even.copy(), even.copy()
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    head[axis], tail[axis] = slice(None, -1), slice(1, None)
    a, b = owner[tuple(head)], owner[tuple(tail)]
    g, h = gap[tuple(head)], gap[tuple(tail)]
    owners[tuple(even)], gaps[tuple(even)] = owner, gap
    owners[tuple(odd)] = np.where(g >= h, a, b)
    middle = np.where(a == b, g + h, np.abs(g - h))
    np.multiply(middle, np.float32(0.5), out=gaps[tuple(odd)])
    return owners, gaps


# Image: what is inside the cells


def _furnish(balls: _Balls, field: _Field, size: tuple[int, int, int], rng: np.random.Generator) -> _Scene:
    """Choose grey levels and organelles."""
    nx, ny, nz = size
    cells = int(balls.cells.max())
    greys = (146.0 + 34.0 * (rng.random(cells + 1) * rng.random(cells + 1))).astype(np.float32)
    blobs: list[list[_Blob]] = [[] for _ in range(nz)]
    for blob in _blobs(balls, rng):
        span, _ = _span(blob.center[2], blob.halves()[2], _Z_STEP, nz)
        for section in blobs[span]:
            section.append(blob)
    tubules = rng.random((nx * ny // 150, 4)) - np.array([0.0, 0.0, 0.5, 0.5])
    tubules *= np.array([nx, ny, 1.2, 1.2])
    synapses, partners = _synapses(field, rng)
    vesicles = _vesicles(balls, (synapses, partners), size, rng)
    return _Scene(greys, blobs, vesicles, tubules, synapses)


def _blobs(balls: _Balls, rng: np.random.Generator) -> Iterator[_Blob]:
    """Mitochondria in thick tubes, endosomes and reticulum anywhere."""
    chances = rng.random((len(balls.radii), 8)).tolist()
    centers, radii = balls.centers.tolist(), balls.radii.tolist()
    cells = balls.cells.tolist()
    for i, (pick, kind, u, v, *w) in enumerate(chances):
        (x, y, z), r = centers[i], radii[i]
        follows = i and cells[i] == cells[i - 1]
        ax, ay, az = (a - b for a, b in zip(centers[i], centers[i - 1], strict=True))
        norm = sqrt(ax * ax + ay * ay + az * az)
        if not follows or norm == 0.0:
            ax, ay, az, norm = 1.0, 0.0, 0.0, 1.0
        axis = (ax / norm, ay / norm, az / norm)
        if r > 12.5 and follows and pick < 0.12:
            across = min(r * (0.45 + 0.25 * u), 24.0)
            along = across * (1.2 + 2.0 * v)
            yield _Blob((x, y, z), axis, along, across, cells[i], 42.0 + 12.0 * kind, 26.0, 20.0)
        elif pick > 0.89:
            center = (x + (w[0] - 0.5) * r, y + (w[1] - 0.5) * r, z + (w[2] - 0.5) * r)
            across = 3.0 + 4.5 * u * u
            along = across * (1.0 + 2.0 * v * v)
            yield _Blob(center, axis, along, across, cells[i], 26.0 * kind - 8.0, 38.0, 0.0)


def _synapses(field: _Field, rng: np.random.Generator) -> tuple[_F64, _I32]:
    """Places where a membrane is thickened, (n, 4), and the cell on the sending side, (n,)."""
    tries = rng.integers(0, field.owner.size, field.owner.size // 500)
    tries = tries[field.gap.reshape(-1)[tries] < 1.0]
    tries = tries[: max(1, field.owner.size // 30000)]
    z, y, x = np.unravel_index(tries, field.owner.shape)
    radii = 11.0 + 11.0 * rng.random(len(tries))
    places = np.stack([2.0 * x, 2.0 * y, _Z_STEP * z, radii], axis=1)
    return places, field.owner.reshape(-1)[tries]


def _vesicles(
    balls: _Balls,
    synapses: tuple[_F64, _I32],
    size: tuple[int, int, int],
    rng: np.random.Generator,
) -> list[_I32]:
    """Vesicles around synapses, in some swellings and, few, everywhere: by section."""
    nx, ny, nz = size
    swollen = np.flatnonzero((balls.radii > 14.0) & (rng.random(len(balls.radii)) < 0.35))
    places, partners = synapses
    centers = np.concatenate([places[:, :3], balls.centers[swollen]])
    radii = np.concatenate([places[:, 3] * 1.8, balls.radii[swollen] * 1.2])
    owners = np.concatenate([partners, balls.cells[swollen]])
    counts = (radii * radii * radii / 120.0).astype(np.int64)
    offsets = rng.random((int(counts.sum()), 3)) * 2.0 - 1.0
    spots = np.repeat(centers, counts, axis=0) + offsets * np.repeat(radii, counts)[:, None]
    squares = offsets * offsets
    kept = squares[:, 0] + squares[:, 1] + squares[:, 2] <= 1.0
    stray = rng.random((nx * ny * nz // 900, 3)) * np.array([nx, ny, nz * _Z_STEP])
    spots = np.floor(np.concatenate([spots[kept], stray]) / np.array([1.0, 1.0, _Z_STEP]))
    cells = np.concatenate([np.repeat(owners, counts)[kept], np.full(len(stray), -1)])
    kept = np.all((spots >= 0) & (spots < np.array(size)), axis=1)
    rows = np.column_stack([spots[kept], cells[kept]]).astype(np.int32)
    rows = rows[np.argsort(rows[:, 2], kind="stable")]
    bounds = np.searchsorted(rows[:, 2], np.arange(1, nz))
    return [part[:, [0, 1, 3]] for part in np.split(rows, bounds)]


def _draw(scene: _Scene, owner: _I32, gap: _F32, z: int) -> _F32:
    """Grey levels of a section before noise: (y, x)."""
    ny, nx = owner.shape
    # Padded, so that stamps may overlap the edges.
    padded = np.zeros((ny + 2 * _PAD, nx + 2 * _PAD), np.float32)
    dark = padded[_PAD:-_PAD, _PAD:-_PAD]
    for blob in scene.blobs[z]:
        _paint_blob(dark, blob, (owner, gap), z)
    x, y, cell = scene.vesicles[z].T
    kept = (gap[y, x] > 8.0) & ((cell < 0) | (owner[y, x] == cell)) & (dark[y, x] < 4.0)
    x, y = x[kept], y[kept]
    # Seven in ten are clear, two are large, one has a dense core.
    kinds = np.arange(len(x)) % 10
    for stamp, low, high in zip(_STAMPS, (0, 7, 9), (7, 9, 10), strict=True):
        some = (kinds >= low) & (kinds < high)
        _stamp(padded, x[some], y[some], stamp)
    tubules = scene.tubules[:, :2] + scene.tubules[:, 2:] * z
    x, y = (np.floor(tubules).astype(np.int32) % np.array([nx, ny], np.int32)).T
    kept = (gap[y, x] > 8.0) & (dark[y, x] < 4.0)
    _stamp(padded, x[kept], y[kept], _DOT)
    for synapse in scene.synapses.tolist():
        if abs(synapse[2] - z * _Z_STEP) < synapse[3]:
            _paint_synapse(dark, synapse, gap, z)
    tone = scene.greys[owner]
    tone -= dark
    # Membranes replace what is below instead of adding to it: nothing gets black.
    cover = _clipped(np.float32(1.2) - gap * np.float32(1 / 4.0))
    cover *= cover * (np.float32(3) - 2 * cover)
    tone += (np.float32(_MEMBRANE) - tone) * cover
    return tone


def _clipped(values: _F32) -> _F32:
    """Values limited to 0..1."""
    limited: _F32 = np.minimum(np.maximum(values, np.float32(0)), np.float32(1))
    return limited


def _wave(values: _F32) -> _F32:
    """Triangle wave of period 1 within -1..1."""
    wave: _F32 = np.abs(values - np.floor(values) - np.float32(0.5)) * 4 - 1
    return wave


def _paint_blob(dark: _F32, blob: _Blob, cells: tuple[_I32, _F32], z: int) -> None:
    """Add the section z of an organelle to the darkness (y, x), within its cell only."""
    x, y, depth = blob.center
    half_x, half_y, _ = blob.halves()
    i, dy = _span(y, half_y, 1.0, dark.shape[0])
    j, dx = _span(x, half_x, 1.0, dark.shape[1])
    dy = dy[:, None]
    owner, gap = cells[0][i, j], cells[1][i, j]
    if owner.size == 0:
        return
    dz = z * _Z_STEP - depth
    ax, ay, az = blob.axis
    along = dx * np.float32(ax) + (dy * np.float32(ay) + np.float32(dz * az))
    around = dx * dx + (dy * dy + np.float32(dz * dz)) - along * along
    ratio = around * np.float32(1 / (blob.across * blob.across))
    ratio += along * along * np.float32(1 / (blob.along * blob.along))
    inside = (1 - np.sqrt(np.maximum(ratio, 0))) * np.float32(blob.across)
    shade = np.full(inside.shape, blob.fill, np.float32)
    shade += _clipped(1 - np.abs(inside - np.float32(1.4)) * np.float32(0.6)) * np.float32(blob.rim)
    if blob.stripes:
        # Cristae: bent sheets, interrupted in places.
        across = dx * np.float32(ay) - dy * np.float32(ax) + np.float32(0.7 * dz)
        bend = along * along * np.float32(0.25 / blob.along) + around * np.float32(0.01)
        folds = _wave((across + bend) * np.float32(1 / 6.0))
        folds *= np.float32(0.7) + np.float32(0.5) * _wave((along + across * np.float32(0.5)) * np.float32(1 / 23.0))
        shade += folds * _clipped((inside - 2) * np.float32(0.5)) * np.float32(blob.stripes)
    # Replaces what is below, where organelles overlap.
    cover = _clipped(inside) * _clipped((gap - 5) * np.float32(0.25))
    cover *= owner == blob.cell
    view = dark[i, j]
    view += (shade - view) * cover


def _paint_synapse(dark: _F32, synapse: list[float], gap: _F32, z: int) -> None:
    """Darken the surroundings of the membranes near a synapse (x, y, z, radius)."""
    x, y, depth, radius = synapse
    i, dy = _span(y, radius, 1.0, dark.shape[0])
    j, dx = _span(x, radius, 1.0, dark.shape[1])
    dz = z * _Z_STEP - depth
    ratio = (dx * dx + ((dy * dy)[:, None] + np.float32(dz * dz))) * np.float32(1 / (radius * radius))
    near = _clipped(1 - gap[i, j] * np.float32(1 / 14))
    dark[i, j] += _clipped(1 - ratio) * near * np.float32(85)


def _stamp(padded: _F32, x: _I32, y: _I32, stamp: tuple[tuple[float, ...], ...]) -> None:
    """Add a square stamp to the padded darkness, centered on each (x, y)."""
    half = len(stamp) // 2
    for row, values in enumerate(stamp):
        for column, value in enumerate(values):
            if value:
                padded[y + (_PAD + row - half), x + (_PAD + column - half)] += np.float32(value)


# Image: the camera


def _expose(tone: _F32, texture: _F32, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Section as recorded: (y, x), with texture, shot noise and uneven brightness.

    `texture` is one period of it, (y, x).
    """
    ny, nx = tone.shape
    light, contrast, tilt_y, tilt_x = (rng.random(4) - 0.5).tolist()
    ramp_y = np.arange(ny, dtype=np.float32)[:, None] * np.float32(8.0 * tilt_y / ny)
    ramp_x = np.arange(nx, dtype=np.float32) * np.float32(8.0 * tilt_x / nx)
    # Stain and protein of the tissue, in lumps of two sizes, blurred by the optics.
    lumps = rng.integers(-128, 128, (ny // 2 + 2, nx // 2 + 2), np.int8).astype(np.int16)
    grain = np.repeat(np.repeat(lumps, 2, axis=0), 2, axis=1)[: ny + 2, : nx + 2]
    grain += rng.integers(-128, 128, (ny + 2, nx + 2), np.int8)
    grain = grain[:-2] + 2 * grain[1:-1] + grain[2:]
    grain = grain[:, :-2] + 2 * grain[:, 1:-1] + grain[:, 2:]
    pairs = rng.integers(0, 256, (2, ny, nx), np.uint8)
    shot = (pairs[0].astype(np.int16) - pairs[1]).astype(np.float32)
    tone = (tone - 128) * np.float32(1 + 0.1 * contrast) + np.float32(128 + 14 * light)
    tone += ramp_y + ramp_x
    repeats = (-(-ny // texture.shape[0]), -(-nx // texture.shape[1]))
    tone += np.tile(texture, repeats)[:ny, :nx]
    tone += grain * np.float32(_GRAIN)
    tone += shot * (np.float32(_SHOT * 0.5) + tone * np.float32(_SHOT / 256))
    pixels: NDArray[np.uint8] = np.minimum(np.maximum(tone + 0.5, 1), 255).astype(np.uint8)
    return pixels
