"""A half-open box of voxels."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt

from cvbatch.errors import OutOfBoundsError
from cvbatch.geometry.names import corners_in_name, name_of_corners
from cvbatch.geometry.slices import Slices, closed, corners, in_bounds, per_axis
from cvbatch.geometry.units import VOXELS, check_unit, scaled, unit_factors
from cvbatch.geometry.vec import Number, Operand, Vec, ceil_div, round_div

# Floats closer than this, relative to themselves, may differ by rounding alone.
ROUNDING = 20 * float(np.finfo(np.float64).eps)


class Bbox:
    """The voxels from ``minpt`` (in it) to ``maxpt`` (not in it).

    Corners are given in any order, and are integers, or floats if one of their numbers is. ``unit`` is
    ``vx`` (voxels) or a length (pm, nm, um, mm, m, km, Mm, Gm, Tm). It tells boxes apart and can be
    converted, but what combines boxes takes their numbers as they are. A box cannot be changed: what
    moves or resizes it makes another one.

    >>> Bbox((0, 0, 0), (64, 64, 32)).size()
    Vec(64, 64, 32)
    >>> Bbox((0, 0, 0), (10, 10, 10)).intersection(Bbox((5, 5, 5), (20, 20, 20)))
    Bbox((5, 5, 5), (10, 10, 10))
    """

    __slots__ = ("maxpt", "minpt", "unit")

    minpt: Vec
    maxpt: Vec
    unit: str

    def __init__(self, a: Operand, b: Operand, dtype: npt.DTypeLike | None = None, unit: str = VOXELS) -> None:
        minpt, maxpt = Vec.of(a), Vec.of(b)
        if len(minpt) != len(maxpt):
            raise ValueError(f"corners of different dimension: {minpt} and {maxpt}")
        if dtype is not None:
            minpt, maxpt = minpt.astype(dtype), maxpt.astype(dtype)
        minpt, maxpt = _of_one_kind(minpt, maxpt)
        if not all(map(operator.le, minpt, maxpt)):
            if any(map(math.isnan, (*minpt, *maxpt))):
                raise ValueError(f"corners that are not numbers: {minpt} and {maxpt}")
            minpt, maxpt = minpt.minimum(maxpt), minpt.maximum(maxpt)
        if unit != VOXELS:
            check_unit(unit)
        _set(self, "minpt", minpt)
        _set(self, "maxpt", maxpt)
        _set(self, "unit", unit)

    def _made(self, minpt: Vec, maxpt: Vec) -> Self:
        """A box in the same unit of corners that are known to be in order."""
        minpt, maxpt = _of_one_kind(minpt, maxpt)
        box = object.__new__(type(self))
        _set(box, "minpt", minpt)
        _set(box, "maxpt", maxpt)
        _set(box, "unit", self.unit)
        return box

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Bbox cannot be changed; make another one instead of setting its {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Bbox cannot be changed; its {name} stays")

    def __reduce__(self) -> tuple[type[Self], tuple[Vec, Vec, None, str]]:
        return type(self), (self.minpt, self.maxpt, None, self.unit)

    # --- from something else

    @classmethod
    def create(cls, obj: Any, context: Bbox | None = None, bounded: bool = False, autocrop: bool = False) -> Bbox:
        """The box that a box, name, dict, size (Vec), list of six numbers or slices stand for.

        ``autocrop`` moves what leaves ``context`` to its edge; otherwise ``bounded`` makes it an
        OutOfBoundsError. What is no box is a TypeError.

        >>> Bbox.create("0-64_0-64_0-64", context=Bbox((0, 0, 0), (50, 50, 50)), autocrop=True)
        Bbox((0, 0, 0), (50, 50, 50))
        """
        box: Bbox
        if isinstance(obj, Bbox):
            box = obj
        elif isinstance(obj, str):
            box = cls.from_filename(obj)
        elif isinstance(obj, Mapping):
            box = cls.from_dict(obj)
        elif isinstance(obj, Vec):
            box = cls.from_vec(obj)
        elif isinstance(obj, Sequence | np.ndarray) and len(obj) == 6 and all(isinstance(each, Real) for each in obj):
            box = cls.from_list(obj)
        else:
            return cls.from_slices(obj, context, bounded, autocrop)
        if context is None:
            return box
        if autocrop:
            return box.clamp(context)
        if bounded and not context._surrounds(box):
            raise OutOfBoundsError(f"{box} leaves the bounds {context}")
        return box

    @classmethod
    def from_slices(
        cls, slices: Slices, context: Bbox | None = None, bounded: bool = False, autocrop: bool = False
    ) -> Self:
        """The box that slices select; open ends and axes left out are those of ``context``.

        A number is the slice of its one voxel, and negative ones are coordinates like others.
        ``autocrop`` moves what leaves ``context`` to its edge; otherwise ``bounded`` makes it an
        OutOfBoundsError. Steps other than 1 are a ValueError.

        >>> Bbox.from_slices((slice(1, 4), ...), context=Bbox((0, 0, 0), (9, 9, 9)))
        Bbox((1, 0, 0), (4, 9, 9))
        """
        if context is None:
            return cls(*corners(closed(per_axis(slices, None))))
        return cls(*corners(context.reify_slices(slices, bounded, autocrop)), unit=context.unit)

    @classmethod
    def from_delta(cls, minpt: Operand, plus: Operand) -> Self:
        """The box of ``plus`` voxels that starts at ``minpt``."""
        start = Vec.of(minpt)
        return cls(start, start + plus)

    @classmethod
    def from_list(cls, lst: Sequence[Any] | npt.NDArray[Any]) -> Self:
        """From ``[x0, y0, z0, x1, y1, z1]``."""
        half = len(lst) // 2
        return cls(tuple(lst[:half]), tuple(lst[half:]))

    @classmethod
    def from_points(cls, arr: npt.NDArray[Any] | Iterable[Iterable[Number]]) -> Self:
        """The smallest box of whole voxels around points, given one a row.

        >>> Bbox.from_points([[1, 2, 3], [4, 0, 5.5]])
        Bbox((1, 0, 3), (5, 3, 6))
        """
        if not isinstance(arr, np.ndarray):
            arr = np.array([[*Vec(*row)] for row in arr], np.object_)
        if arr.ndim != 2 or len(arr) == 0:
            raise ValueError(f"points are given one a row, not as an array of shape {arr.shape}")
        low, high = arr.min(axis=0).tolist(), arr.max(axis=0).tolist()
        return cls(Vec(*map(math.floor, low)), Vec(*map(math.floor, high)) + 1)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From ``minpt`` and ``maxpt``, and ``dtype`` and ``unit`` where they are given."""
        return cls(data["minpt"], data["maxpt"], data.get("dtype"), data.get("unit", VOXELS))

    @classmethod
    def from_vec(cls, vec: Operand, dtype: npt.DTypeLike = int) -> Self:
        """The box of this size at the origin."""
        size = Vec.of(vec)[:3]
        return cls(Vec.zeros(len(size)), size, dtype)

    @classmethod
    def from_filename(cls, filename: str, dtype: npt.DTypeLike = int) -> Self:
        """From the name of a chunk, such as ``0-64_0-64_0-64.gz``.

        >>> Bbox.from_filename("-8-56_0-64_128-192")
        Bbox((-8, 0, 128), (56, 64, 192))
        """
        return cls(*corners_in_name(filename, dtype))

    @classmethod
    def deserialize(cls, bbx_data: str) -> Self:
        """The inverse of :meth:`serialize`."""
        return cls.from_dict(json.loads(bbx_data))

    # --- to something else

    def to_filename(self, precision: int | None = None) -> str:
        """The name of this chunk in the Precomputed format: ``x0-x1_y0-y1_z0-z1``.

        >>> Bbox((0, 0, 0.25), (64, 64, 8)).to_filename(precision=1)
        '0.0-64.0_0.0-64.0_0.2-8.0'
        """
        return name_of_corners(self.minpt, self.maxpt, precision)

    def to_list(self) -> list[int]:
        return [*self.minpt, *self.maxpt]

    def to_slices(self) -> tuple[slice, ...]:
        """Slices that cut this box out of an array that begins at 0; floats are cut towards zero."""
        return tuple(slice(int(a), int(b)) for a, b in zip(self.minpt, self.maxpt, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The box as JSON can hold it; voxels are the unit if none is in it.

        >>> Bbox((0, 0, 0), (1, 2, 3), unit="nm").to_dict()
        {'minpt': [0, 0, 0], 'maxpt': [1, 2, 3], 'dtype': 'int64', 'unit': 'nm'}
        """
        document = {"minpt": list(self.minpt), "maxpt": list(self.maxpt), "dtype": str(self.dtype)}
        return document if self.unit == VOXELS else {**document, "unit": self.unit}

    def serialize(self) -> str:
        """The box as a line of JSON."""
        return json.dumps(self.to_dict())

    def clone(self) -> Self:
        """This box itself, which cannot be changed."""
        return self

    def astype(self, typ: npt.DTypeLike) -> Self:
        """With integers (cut towards zero) or floats; of how many bits does not matter here."""
        return type(self)(self.minpt, self.maxpt, typ, self.unit)

    def transpose(self) -> Self:
        """With the axes in reverse order: z, y, x."""
        return self._made(self.minpt[::-1], self.maxpt[::-1])

    def convert_units(self, unit: str, resolution: Operand = (1, 1, 1), resolution_unit: str = "nm") -> Self:
        """The same box in voxels or in a length; ``resolution`` is the size of a voxel.

        Voxels are whole: corners inside of one are rounded down. A unit that does not exist is a ValueError.

        >>> Bbox((1, 2, 3), (10, 20, 30)).convert_units("nm", resolution=(4, 4, 40))
        Bbox((4, 8, 120), (40, 80, 1200), unit='nm')
        """
        factors = unit_factors(self.unit, unit, resolution, resolution_unit, self.ndim)
        if unit == self.unit:
            return self
        low, high = (scaled(point, factors, whole=unit == VOXELS) for point in (self.minpt, self.maxpt))
        return type(self)(low, high, unit=unit)

    def reify_slices(self, slices: Slices, bounded: bool = True, autocrop: bool = False) -> list[slice]:
        """One slice for each axis, with step, and with open ends at the edges of this box.

        ``autocrop`` moves what leaves this box to its edge; otherwise ``bounded`` makes it an
        OutOfBoundsError. Steps that are no positive integers are a ValueError.

        >>> Bbox((-1, -2, -3), (1, 2, 3)).reify_slices((slice(0, None), ...))
        [slice(0, 1, 1), slice(-2, 2, 1), slice(-3, 3, 1)]
        """
        return in_bounds(per_axis(slices, self.ndim), (self.minpt, self.maxpt), bounded, autocrop)

    # --- measures

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.minpt)

    @property
    def dtype(self) -> np.dtype[Any]:
        """int64, float64, or object for integers beyond 64 bits."""
        return Vec(*self.minpt, *self.maxpt).dtype

    @property
    def is_physical(self) -> bool:
        """Whether the unit is a length."""
        return self.unit != VOXELS

    @property
    def dx(self) -> int:
        return self.maxpt.x - self.minpt.x

    @property
    def dy(self) -> int:
        return self.maxpt.y - self.minpt.y

    @property
    def dz(self) -> int:
        return self.maxpt.z - self.minpt.z

    def size(self) -> Vec:
        """Extent along each axis, never negative."""
        return self.maxpt - self.minpt

    def size3(self) -> Vec:
        """Extent along x, y and z, for boxes that have more axes."""
        return self.size()[:3]

    def volume(self) -> int:
        """Number of voxels."""
        return self.size().product()

    def center(self) -> Vec:
        """The point in the middle, in floats.

        >>> Bbox((1, 2, 3), (4, 6, 8)).center()
        Vec(2.5, 4.0, 5.5)
        """
        return (self.minpt + self.maxpt) / 2

    def empty(self) -> bool:
        """Whether nothing is in the box. Floats that differ by rounding alone count as the same."""
        if not all(map(operator.lt, self.minpt, self.maxpt)):
            return True
        if float not in map(type, self.minpt):
            return False
        return any(b - a <= ROUNDING * max(abs(a), abs(b)) for a, b in zip(self.minpt, self.maxpt, strict=True))

    def valid(self) -> bool:
        """Whether no axis ends before it begins, which is so for every box."""
        return all(map(operator.le, self.minpt, self.maxpt))

    def subvoxel(self) -> bool:
        """Whether the volume is less than that of one voxel."""
        return self.volume() < 1

    # --- together with others; also spelled Bbox.intersection(a, b)

    def intersection(self, other: Bbox) -> Self:
        """The voxels in both; an empty box where there are none."""
        low = self.minpt.maximum(other.minpt)
        return self._made(low, self.maxpt.minimum(other.maxpt).maximum(low))

    def intersects(self, other: Bbox) -> bool:
        """Whether a voxel is in both. None is in an empty box."""
        axes = zip(self.minpt, self.maxpt, other.minpt, other.maxpt, strict=True)
        return all(a < b and a < d and c < d and c < b for a, b, c, d in axes)

    def overlaps_bbox(self, other: Bbox) -> bool:
        """Whether the boxes share a voxel or only touch.

        >>> Bbox((0, 0, 0), (4, 4, 4)).overlaps_bbox(Bbox((4, 0, 0), (8, 4, 4)))
        True
        """
        return bool((self.minpt <= other.maxpt).all() and (other.minpt <= self.maxpt).all())

    def expand(self, *others: Bbox) -> Self:
        """The smallest box around all of these, also around empty ones.

        >>> Bbox.expand(Bbox((0, 0, 0), (1, 1, 1)), Bbox((5, -2, 0), (6, 0, 1)))
        Bbox((0, -2, 0), (6, 1, 1))
        """
        low, high = self.minpt, self.maxpt
        for other in others:
            low, high = low.minimum(other.minpt), high.maximum(other.maxpt)
        return self._made(low, high)

    def clamp(self, other: Bbox) -> Self:
        """This box with the corners outside of ``other`` moved to its edges, where it can end up empty.

        >>> Bbox((5, 5, 5), (40, 50, 60)).clamp(Bbox((0, 0, 8), (10, 4, 30)))
        Bbox((5, 4, 8), (10, 4, 30))
        """
        low, high = (Vec.clamp(point, other.minpt, other.maxpt) for point in (self.minpt, self.maxpt))
        return self._made(low, high)

    def near_edge(self, other: Bbox, distance: Operand = 0) -> bool:
        """Whether along some axis both begin, or both end, at most ``distance`` from each other.

        >>> Bbox((1, 20, 20), (30, 30, 30)).near_edge(Bbox((0, 0, 0), (64, 64, 64)), distance=1)
        True
        """
        gaps = abs(self.minpt - other.minpt).minimum(abs(self.maxpt - other.maxpt))
        return bool((gaps <= distance).any())

    def contains(self, point: Operand) -> bool:
        """Whether a point is in the box or on its surface, that at ``maxpt`` included."""
        return bool((self.minpt <= point).all() and (self.maxpt >= point).all())

    def contains_bbox(self, other: Bbox) -> bool:
        """Whether every voxel of ``other`` is in this box, as it is if there are none."""
        return self._surrounds(other) or other.empty()

    def _surrounds(self, other: Bbox) -> bool:
        if len(self.minpt) != len(other.minpt):
            raise ValueError(f"boxes of different dimension: {self} and {other}")
        return all(map(operator.le, self.minpt, other.minpt)) and all(map(operator.ge, self.maxpt, other.maxpt))

    # --- on a grid of chunks that has a corner at offset

    def expand_to_chunk_size(self, chunk_size: Operand, offset: Operand = 0) -> Self:
        """The smallest box of whole chunks that contains this one.

        >>> Bbox((1, 2, 3), (10, 20, 30)).expand_to_chunk_size((4, 4, 4), offset=(1, 1, 1))
        Bbox((1, 1, 1), (13, 21, 33))
        """
        low, high = (self.minpt - offset) // chunk_size, ceil_div(self.maxpt - offset, chunk_size)
        return self._on_grid(low, high, chunk_size, offset)

    def shrink_to_chunk_size(self, chunk_size: Operand, offset: Operand = 0) -> Self:
        """The largest box of whole chunks inside this one; empty if there is none.

        >>> Bbox((1, 2, 3), (10, 20, 30)).shrink_to_chunk_size((4, 4, 4))
        Bbox((4, 4, 4), (8, 20, 28))
        """
        low, high = ceil_div(self.minpt - offset, chunk_size), (self.maxpt - offset) // chunk_size
        return self._on_grid(low, high if (low <= high).all() else low, chunk_size, offset)

    def round_to_chunk_size(self, chunk_size: Operand, offset: Operand = 0) -> Self:
        """With each corner at the nearest corner of a chunk; from the middle, at that of the even one.

        >>> Bbox((2, 6, 10), (14, 18, 23)).round_to_chunk_size((4, 4, 4))
        Bbox((0, 8, 8), (16, 16, 24))
        """
        low, high = (round_div(point - offset, chunk_size) for point in (self.minpt, self.maxpt))
        return self._on_grid(low, high, chunk_size, offset)

    def _on_grid(self, low: Vec, high: Vec, chunk_size: Operand, offset: Operand) -> Self:
        return type(self)(low * chunk_size + offset, high * chunk_size + offset, unit=self.unit)

    def is_chunk_aligned(self, chunk_size: Operand, offset: Operand = 0) -> bool:
        """Whether the box is made of whole chunks."""
        return not any((self.minpt - offset) % chunk_size) and not any((self.maxpt - offset) % chunk_size)

    def num_chunks(self, chunk_size: Operand) -> int:
        """How many chunks a volume of this size is made of, counted from ``minpt``."""
        return int(ceil_div(self.size(), chunk_size).product())

    # --- moved and resized

    def adjust(self, amt: Operand) -> Self:
        """With every face moved out by ``amt``, or inwards if it is negative.

        A box cannot shrink below nothing: that is a ValueError.

        >>> Bbox((10, 10, 10), (20, 20, 20)).adjust((1, 0, -2))
        Bbox((9, 10, 12), (21, 20, 18))
        """
        low, high = self.minpt - amt, self.maxpt + amt
        if not all(map(operator.le, low, high)):
            raise ValueError(f"{self} cannot be adjusted by {amt}: it would end before it begins")
        return type(self)(low, high, unit=self.unit)

    grow = adjust

    def shrink(self, amt: Operand) -> Self:
        """With every face moved in by ``amt``, which is not negative."""
        amount = Vec.of(amt, self.ndim)
        if any(a < 0 for a in amount):
            raise ValueError(f"a box shrinks by positive amounts, not by {amount}")
        return self.adjust(-amount)

    def __add__(self, offset: Operand | Bbox) -> Self:
        low, high = _for_corners(offset)
        return type(self)(self.minpt + low, self.maxpt + high, None, self.unit)

    def __sub__(self, offset: Operand | Bbox) -> Self:
        low, high = _for_corners(offset)
        return type(self)(self.minpt - low, self.maxpt - high, None, self.unit)

    def __mul__(self, factor: Operand) -> Self:
        return type(self)(self.minpt * factor, self.maxpt * factor, None, self.unit)

    def __truediv__(self, divisor: Operand) -> Self:
        return type(self)(self.minpt / divisor, self.maxpt / divisor, None, self.unit)

    def __floordiv__(self, divisor: Operand) -> Self:
        return type(self)(self.minpt // divisor, self.maxpt // divisor, None, self.unit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bbox):
            return NotImplemented
        return self.minpt == other.minpt and self.maxpt == other.maxpt and self.unit == other.unit

    def __hash__(self) -> int:
        return hash((self.minpt, self.maxpt))

    def __repr__(self) -> str:
        unit = "" if self.unit == VOXELS else f", unit={self.unit!r}"
        return f"Bbox({self.minpt}, {self.maxpt}{unit})"

    def __str__(self) -> str:
        return f"{self.minpt}–{self.maxpt}" + ("" if self.unit == VOXELS else f" {self.unit}")


_set = object.__setattr__


def _of_one_kind(minpt: Vec, maxpt: Vec) -> tuple[Vec, Vec]:
    if (float in map(type, minpt)) == (float in map(type, maxpt)):
        return minpt, maxpt
    return minpt.astype(float), maxpt.astype(float)


def _for_corners(offset: Operand | Bbox) -> tuple[Operand, Operand]:
    return (offset.minpt, offset.maxpt) if isinstance(offset, Bbox) else (offset, offset)
