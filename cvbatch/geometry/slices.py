"""Slices of a volume: their open ends filled in, cropped and checked against the bounds."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, TypeAlias

from cvbatch.errors import OutOfBoundsError
from cvbatch.geometry.vec import Vec, python_number

Item: TypeAlias = "slice | EllipsisType | int"
Slices: TypeAlias = "Item | Sequence[Item]"


def per_axis(slices: Slices, dimensions: int | None) -> list[slice]:
    """One slice for each of ``dimensions`` axes, or for each that is given if None.

    A number is the slice of its one voxel. Axes that are left out, at the end or at an Ellipsis, are
    whole. One slice more than there are axes is that of the channels, and is dropped.

    >>> per_axis((slice(1, 4), ..., 7), 3)
    [slice(1, 4, None), slice(None, None, None), slice(7, 8, None)]
    """
    items = list(slices) if isinstance(slices, tuple | list) else [slices]
    dots = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise ValueError(f"more than one Ellipsis: {items}")
    if dimensions is None:
        if dots:
            raise ValueError("without a context, an Ellipsis does not say how many axes it stands for")
        return [_as_slice(item) for item in items]
    left_out = [slice(None)] * (dimensions - len(items) + len(dots))
    place = dots[0] if dots else len(items)
    filled = [*items[:place], *left_out, *items[place + 1 :]]
    if len(filled) > dimensions + 1:
        raise ValueError(f"{len(filled)} slices for {dimensions} axes and channels")
    return [_as_slice(item) for item in filled[:dimensions]]


def closed(slices: Sequence[slice]) -> list[slice]:
    """The same, with steps and without open ends, which are a ValueError."""
    for axis, each in enumerate(slices):
        if each.start is None or each.stop is None:
            raise ValueError(f"without a context, the slice of axis {axis} has no edge to begin or end at")
    return [slice(each.start, each.stop, _step(each)) for each in slices]


def in_bounds(slices: Sequence[slice], bounds: tuple[Vec, Vec], bounded: bool, autocrop: bool) -> list[slice]:
    """The same, with steps and with open ends at the edges of ``bounds``.

    Numbers are coordinates; negative ones don't count from the end. ``autocrop`` moves what is outside
    to the edge; otherwise ``bounded`` makes it an OutOfBoundsError.

    >>> in_bounds([slice(-9, 4, 2)], (Vec(-5), Vec(100)), bounded=True, autocrop=True)
    [slice(-5, 4, 2)]
    """
    low, high = bounds
    filled = [
        slice(_end(each.start, a), _end(each.stop, b), _step(each))
        for each, a, b in zip(slices, low, high, strict=True)
    ]
    if autocrop:
        return [
            slice(_between(a, each.start, b), _between(a, each.stop, b), each.step)
            for each, a, b in zip(filled, low, high, strict=True)
        ]
    inside = (a <= end <= b for each, a, b in zip(filled, low, high, strict=True) for end in (each.start, each.stop))
    if bounded and not all(inside):
        request = ", ".join(f"{each.start}:{each.stop}" for each in filled)
        raise OutOfBoundsError(f"[{request}] leaves the bounds {low}–{high}")
    return filled


def corners(slices: Sequence[slice]) -> tuple[Vec, Vec]:
    """Where a box of these slices begins and ends; empty where one ends before it begins.

    A box has all of its voxels: steps other than 1 are a ValueError.
    """
    for each in slices:
        if each.step != 1:
            raise ValueError(f"a box has no step, and {each} has one of {each.step}")
    low = Vec(*(each.start for each in slices))
    return low, Vec(*(each.stop for each in slices)).maximum(low)


def _end(given: Any, edge: Any) -> Any:
    return edge if given is None else python_number(given)


def _between(low: Any, value: Any, high: Any) -> Any:
    return min(max(value, low), high)


def _as_slice(item: Any) -> slice:
    if isinstance(item, slice):
        return item
    try:
        start = operator.index(item)
    except TypeError:
        raise TypeError(f"voxels are selected by slices and integers, not by {item!r}") from None
    return slice(start, start + 1)


def _step(each: slice) -> int:
    if each.step is None:
        return 1
    try:
        step = operator.index(each.step)
    except TypeError:
        raise ValueError(f"the step of {each} is not an integer") from None
    if step < 1:
        raise ValueError(f"the step of {each} is not positive")
    return step
