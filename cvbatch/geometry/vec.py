"""An integer vector with elementwise arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Self, SupportsIndex, TypeAlias

Operand: TypeAlias = "SupportsIndex | Iterable[SupportsIndex]"


class Vec(tuple[int, ...]):
    """Integers x, y, z (or any number of them) that add and multiply element by element.

    A tuple of Python integers: exact beyond 2**63, hashable, compared as a whole.

    >>> Vec(1, 2, 3) + (10, 20, 30)
    Vec(11, 22, 33)
    >>> Vec(7, 7, 7) // 2 == (3, 3, 3)
    True
    """

    __slots__ = ()

    def __new__(cls, *values: SupportsIndex) -> Self:
        return super().__new__(cls, map(operator.index, values))

    @classmethod
    def of(cls, values: Operand, dimensions: int = 3) -> Self:
        """A vector from a sequence, or the same integer ``dimensions`` times."""
        if isinstance(values, cls):
            return values
        if isinstance(values, Iterable):
            return cls(*values)
        return cls(*[values] * dimensions)

    @classmethod
    def zeros(cls, dimensions: int = 3) -> Self:
        return cls(*[0] * dimensions)

    @classmethod
    def ones(cls, dimensions: int = 3) -> Self:
        return cls(*[1] * dimensions)

    def _with(self, function: Callable[[int, int], int], other: Operand) -> Self:
        pairs = zip(self, type(self).of(other, len(self)), strict=True)
        return type(self)(*[function(a, b) for a, b in pairs])

    def __add__(self, other: Operand) -> Self:  # type: ignore[override] # adds, where tuples join
        return self._with(operator.add, other)

    def __sub__(self, other: Operand) -> Self:
        return self._with(operator.sub, other)

    def __mul__(self, other: Operand) -> Self:
        return self._with(operator.mul, other)

    def __floordiv__(self, other: Operand) -> Self:
        return self._with(operator.floordiv, other)

    def __mod__(self, other: Operand) -> Self:
        return self._with(operator.mod, other)

    def __radd__(self, other: Operand) -> Self:
        return self + other

    def __rsub__(self, other: Operand) -> Self:
        return type(self).of(other, len(self)) - self

    def __rmul__(self, other: Operand) -> Self:
        return self * other

    def __neg__(self) -> Self:
        return type(self)(*[-a for a in self])

    def minimum(self, other: Operand) -> Self:
        return self._with(min, other)

    def maximum(self, other: Operand) -> Self:
        return self._with(max, other)

    def lcm(self, other: Operand) -> Self:
        """Least common multiple, element by element."""
        return self._with(math.lcm, other)

    def product(self) -> int:
        """The product of the elements: voxels in a box of this size."""
        return math.prod(self)

    @property
    def x(self) -> int:
        return self[0]

    @property
    def y(self) -> int:
        return self[1]

    @property
    def z(self) -> int:
        return self[2]

    def __getnewargs__(self) -> tuple[int, ...]:  # pickle and copy call Vec(*these)
        return tuple(self)

    def __repr__(self) -> str:
        return f"Vec({', '.join(map(str, self))})"

    def __str__(self) -> str:
        return f"({', '.join(map(str, self))})"
