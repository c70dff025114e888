"""The names of chunks: ``x0-x1_y0-y1_z0-z1``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cvbatch.geometry.vec import Vec


def _pattern(number: str) -> re.Pattern[str]:
    ranges = "_".join([f"({number})-({number})"] * 3)
    # A folder or the label of a mesh goes before it, the compression after it.
    return re.compile(rf"(?:.*[/:])?{ranges}(?:\.[A-Za-z]\w*)?", re.DOTALL)


INTEGERS = _pattern(r"-?\d+")
FLOATS = _pattern(r"-?\d+(?:\.\d+)?")


def corners_in_name(name: str, dtype: npt.DTypeLike) -> tuple[Vec, Vec]:
    """The corners that a chunk's name tells, as integers or floats.

    >>> corners_in_name("8_8_40/-8-56_0-64_128-192.gz", int)
    (Vec(-8, 0, 128), Vec(56, 64, 192))
    """
    fractions = np.dtype(dtype).kind == "f"
    match = (FLOATS if fractions else INTEGERS).fullmatch(name)
    if match is None:
        raise ValueError(f"not the name of a chunk: {name!r}")
    numbers: list[Any] = list(map(float if fractions else int, match.groups()))
    return Vec(*numbers[::2]), Vec(*numbers[1::2])


def name_of_corners(minpt: Sequence[float], maxpt: Sequence[float], precision: int | None) -> str:
    """The name of a chunk; ``precision`` is the number of decimals, as many as needed if None.

    >>> name_of_corners((0, 0.25, 1e-7), (64, 2.5, 8), precision=None)
    '0-64_0.25-2.5_0.0000001-8'
    """
    return "_".join(f"{_text(a, precision)}-{_text(b, precision)}" for a, b in zip(minpt, maxpt, strict=True))


def _text(number: float, precision: int | None) -> str:
    if precision is not None:
        return f"{number:.{precision}f}"
    if isinstance(number, int):
        return str(number)
    return np.format_float_positional(number, trim="0")
