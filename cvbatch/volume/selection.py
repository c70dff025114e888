"""What stands between the brackets of ``vol[...]``."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from cvbatch.errors import OutOfBoundsError, SubvoxelVolumeError
from cvbatch.geometry import Bbox, Vec

Key: TypeAlias = Any
SPACE = 3


@dataclass(frozen=True)
class Extent:
    """The volume that is selected from: its voxels at a mip, and how boxes that leave it are taken."""

    bounds: Bbox
    channels: int
    resolution: Vec
    bounded: bool = True
    autocrop: bool = False

    def cropping(self) -> Extent:
        """The same, where ``autocrop`` matters more than ``bounded``, as CloudVolume has it for ``download``."""
        return replace(self, bounded=self.bounded and not self.autocrop)

    def unlimited(self) -> Extent:
        """The same, admitting any box as it is."""
        return replace(self, bounded=False, autocrop=False)

    def admit(self, box: Bbox) -> Bbox:
        """The voxels of a box that are meant.

        Raises :class:`OutOfBoundsError` for one that leaves a bounded volume and :class:`SubvoxelVolumeError`
        for one of which nothing is left.
        """
        if self.bounds.contains_bbox(box):
            return box
        if self.bounded:
            raise OutOfBoundsError(
                f"{box} leaves the volume, which is {self.bounds} at {tuple(self.resolution)} nm a voxel. "
                "bounded=False reads what is outside as background"
            )
        if not self.autocrop:
            return box
        cropped = box.intersection(self.bounds)
        if cropped.empty():
            raise SubvoxelVolumeError(f"{box} has no voxel in the volume, which is {self.bounds}")
        return cropped


@dataclass(frozen=True)
class Selection:
    """Voxels of ``box``, every ``step``-th of them along each axis, and the channels of a slice."""

    box: Bbox
    steps: Vec
    channels: slice

    @property
    def strides(self) -> tuple[slice, ...]:
        """What picks the selected voxels out of all of the box."""
        return (*[slice(None, None, step) for step in self.steps], self.channels)


def as_box(key: Key, extent: Extent) -> Bbox:
    """The box that a Bbox (of any unit), slices, six numbers, or the name of a chunk stand for.

    Raises as :func:`select`, and ValueError for steps or some of the channels: a box has all of its voxels.
    """
    if isinstance(key, Sequence | np.ndarray) and not isinstance(key, str | Bbox) and len(key) == 2 * SPACE:
        key = Bbox.from_list(key)
    selection = select(key, extent)
    if selection.steps != Vec.ones():
        raise ValueError(f"steps of {tuple(selection.steps)}: only vol[...] takes them, this call needs a whole box")
    if (selection.channels.start, selection.channels.stop) != (0, extent.channels):
        raise ValueError("some of the channels: only vol[...] takes them, this call is for all channels")
    return selection.box


def select(key: Key, extent: Extent) -> Selection:
    """What a key selects; see :class:`Extent` for the errors. Numbers are coordinates, also negative ones.

    Raises TypeError and ValueError for what is no selection.
    """
    if isinstance(key, str):
        key = Bbox.from_filename(key)
    if isinstance(key, Bbox):
        box = key if key.unit == "vx" else key.convert_units("vx", resolution=extent.resolution)
        key = tuple(slice(a, b) for a, b in zip(box.minpt, box.maxpt, strict=True))
    parts = _parts(key)
    edges = [*zip(extent.bounds.minpt, extent.bounds.maxpt, strict=True), (0, extent.channels)]
    ranges = [_range(part, low, high, axis) for axis, (part, (low, high)) in enumerate(zip(parts, edges, strict=True))]
    start, stop, step = zip(*ranges, strict=True)
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        raise SubvoxelVolumeError(f"{start[:SPACE]}–{stop[:SPACE]} has no voxel: each end must be above its start")
    channels = slice(start[SPACE], stop[SPACE], step[SPACE])
    if not 0 <= channels.start < channels.stop <= extent.channels:
        raise OutOfBoundsError(
            f"channels {channels.start} to {channels.stop} of a volume that has {extent.channels}, counted from 0"
        )
    return Selection(extent.admit(Bbox(start[:SPACE], stop[:SPACE])), Vec(*step[:SPACE]), channels)


def _parts(key: Key) -> list[Any]:
    """One slice or number for each of x, y, z and channel."""
    given = list(key) if isinstance(key, Sequence) or (isinstance(key, np.ndarray) and key.ndim > 0) else [key]
    if sum(part is Ellipsis for part in given) > 1:
        raise TypeError("more than one ... in a selection")
    missing = SPACE + 1 - len([part for part in given if part is not Ellipsis])
    if missing < 0:
        raise TypeError(f"{len(given)} indices for the axes x, y, z, channel")
    at = next((i for i, part in enumerate(given) if part is Ellipsis), None)
    if at is None:
        return given + [slice(None)] * missing
    return given[:at] + [slice(None)] * missing + given[at + 1 :]


def _range(part: Any, low: int, high: int, axis: int) -> tuple[int, int, int]:
    """Start, stop and step along one axis; ``low`` and ``high`` are where it begins and ends."""
    if isinstance(part, slice):
        step = 1 if part.step is None else _coordinate(part.step, axis)
        if step < 1:
            raise ValueError(f"step {step} along axis {axis}: steps must be 1 or more")
        start = low if part.start is None else _coordinate(part.start, axis)
        return start, high if part.stop is None else _coordinate(part.stop, axis), step
    number = _coordinate(part, axis)
    return number, number + 1, 1


def _coordinate(value: Any, axis: int) -> int:
    """A whole number. Fractions are rounded down."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value) if hasattr(value, "__index__") else math.floor(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{value!r} along axis {axis} is no coordinate; give numbers, slices or a Bbox") from error
