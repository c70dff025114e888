"""A vector of exact numbers with elementwise arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Self, SupportsFloat, SupportsIndex, TypeAlias, overload

import numpy as np
import numpy.typing as npt

Number: TypeAlias = "SupportsIndex | SupportsFloat"
Operand: TypeAlias = "Number | Iterable[Number]"
Flags: TypeAlias = npt.NDArray[np.bool_]

INT64 = np.iinfo(np.int64)


class Vec(tuple[int, ...]):
    """Numbers x, y, z (or any number of them) that add and multiply element by element.

    A tuple of Python numbers that cannot be changed: integers are exact beyond 2**63; if one element
    is a float all are, with the 64 bits of Python's. ``==`` compares vectors as a whole and fits the hash of
    a plain tuple; with one number it compares element by element into an array of bools, as ``<``, ``<=``,
    ``>`` and ``>=`` always do, so vectors are sorted by ``tuple(vec)``. A vector on the left of a numpy array
    makes a vector, one on the right an array. For type checkers the elements are integers, the only ones that
    the engine uses.

    >>> Vec(1, 2, 3) + (10, 20, 30)
    Vec(11, 22, 33)
    >>> Vec(7, 7, 7) // 2 == (3, 3, 3)
    True
    """

    __slots__ = ()

    # Above numpy's numbers, so that `np.int64(2) * vec` is a Vec; below its arrays, so that `array += vec`
    # changes the array in place.
    __array_priority__ = -1.0

    def __new__(cls, *values: Number, dtype: npt.DTypeLike | None = None) -> Self:
        if dtype is not None:
            return super().__new__(cls, _as_kind(values, dtype))
        try:
            return super().__new__(cls, map(operator.index, values))  # type: ignore[arg-type] # floats raise
        except TypeError:
            return super().__new__(cls, _python_numbers(values))

    @classmethod
    def of(cls, values: Operand, dimensions: int = 3) -> Self:
        """A vector from a sequence, or the same number ``dimensions`` times.

        >>> Vec.of([1, 2, 3]), Vec.of(64, dimensions=2)
        (Vec(1, 2, 3), Vec(64, 64))
        """
        if isinstance(values, cls):
            return values
        if isinstance(values, np.ndarray) and values.ndim == 0:
            values = values.item()
        if isinstance(values, Iterable):
            return cls(*values)
        return cls(*[values] * dimensions)

    @classmethod
    def zeros(cls, dimensions: int = 3) -> Self:
        return cls(*[0] * dimensions)

    @classmethod
    def ones(cls, dimensions: int = 3) -> Self:
        return cls(*[1] * dimensions)

    @staticmethod
    def clamp(val: Operand, minvec: Operand, maxvec: Operand) -> Vec:
        """``val`` moved, element by element, to where it is neither below ``minvec`` nor above ``maxvec``.

        >>> Vec.clamp((5, -5, 2), (0, 0, 0), (3, 3, 3))
        Vec(3, 0, 2)
        """
        return Vec.of(val).maximum(minvec).minimum(maxvec)

    def clone(self) -> Self:
        """This vector itself, which cannot be changed."""
        return self

    copy = clone

    # --- arithmetic

    def _with(self, function: Callable[[Any, Any], Any], other: Operand) -> Self:
        kind = type(other)
        if kind is int or kind is float:
            return tuple.__new__(type(self), [function(a, other) for a in self])
        if kind is not type(self):
            if isinstance(other, np.ndarray) and other.ndim > 1:
                return function(np.asarray(self), other)  # type: ignore[no-any-return] # an array, as numpy makes it
            other = self.of(other, len(self))
        if len(other) != len(self):  # type: ignore[arg-type] # it is a Vec now
            raise ValueError(f"vectors of different dimension: {self} and {other}")
        return tuple.__new__(type(self), map(function, self, other))  # type: ignore[arg-type]

    def _where(self, function: Callable[[Any, Any], bool], other: Operand) -> Flags:
        return np.array(tuple(self._with(function, other)), bool)

    def __add__(self, other: Operand) -> Self:  # type: ignore[override] # adds, where tuples join
        return self._with(operator.add, other)

    def __sub__(self, other: Operand) -> Self:
        return self._with(operator.sub, other)

    def __mul__(self, other: Operand) -> Self:
        return self._with(operator.mul, other)

    def __truediv__(self, other: Operand) -> Self:
        return self._with(operator.truediv, other)

    def __floordiv__(self, other: Operand) -> Self:
        return self._with(operator.floordiv, other)

    def __mod__(self, other: Operand) -> Self:
        return self._with(operator.mod, other)

    def __pow__(self, other: Operand) -> Self:
        made = self._with(operator.pow, other)
        return made if isinstance(made, np.ndarray) else type(self)(*made)  # complex ones are refused

    def __radd__(self, other: Operand) -> Self:
        return self + other

    def __rsub__(self, other: Operand) -> Self:
        return self.of(other, len(self)) - self

    def __rmul__(self, other: Operand) -> Self:
        return self * other

    def __rtruediv__(self, other: Operand) -> Self:
        return self.of(other, len(self)) / self

    def __rfloordiv__(self, other: Operand) -> Self:
        return self.of(other, len(self)) // self

    def __rmod__(self, other: Operand) -> Self:
        return self.of(other, len(self)) % self

    def __rpow__(self, other: Operand) -> Self:
        return self.of(other, len(self)) ** self

    def __neg__(self) -> Self:
        return tuple.__new__(type(self), [-a for a in self])

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return tuple.__new__(type(self), map(abs, self))

    def minimum(self, other: Operand) -> Self:
        return self._uniform(self._with(_lesser, other))

    def maximum(self, other: Operand) -> Self:
        return self._uniform(self._with(_greater, other))

    def _uniform(self, made: Self) -> Self:
        """``made``, or floats where a function took integers from one side and floats from the other."""
        if isinstance(made, np.ndarray):
            return made  # where numpy has made one, of more axes
        return type(self)(*made) if float in map(type, made) else made

    def lcm(self, other: Operand) -> Self:
        """Least common multiple, element by element."""
        return self._with(math.lcm, other)

    # --- comparison

    def __eq__(self, other: object) -> bool:
        if isinstance(other, tuple):
            return tuple.__eq__(self, other)
        if isinstance(other, list):
            return tuple.__eq__(self, tuple(other))
        if isinstance(other, np.ndarray):
            return other.ndim == 1 and tuple.__eq__(self, tuple(other.tolist()))
        if isinstance(other, Real):
            # Vectors are equal or not; with one number it is asked which elements are.
            return self._where(operator.eq, other)  # type: ignore[return-value]
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if isinstance(other, Real):
            return self._where(operator.ne, other)  # type: ignore[return-value]
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    __hash__ = tuple.__hash__

    def __lt__(self, other: Operand) -> Flags:  # type: ignore[override] # element by element, unlike tuples
        return self._where(operator.lt, other)

    def __le__(self, other: Operand) -> Flags:  # type: ignore[override]
        return self._where(operator.le, other)

    def __gt__(self, other: Operand) -> Flags:  # type: ignore[override]
        return self._where(operator.gt, other)

    def __ge__(self, other: Operand) -> Flags:  # type: ignore[override]
        return self._where(operator.ge, other)

    # --- the vector as a whole

    def product(self) -> int:
        """The product of the elements: voxels in a box of this size."""
        return math.prod(self)

    rectVolume = product  # noqa: N815 - CloudVolume's name

    def length2(self) -> int:
        """The square of the Euclidean length."""
        return sum(a * a for a in self)

    def length(self) -> float:
        """The Euclidean length.

        >>> Vec(3, 4, 0).length()
        5.0
        """
        return math.hypot(*self)

    def null(self) -> bool:
        """Whether all elements are zero."""
        return not any(self)

    def dot(self, other: Any) -> Any:
        """The scalar product; with a matrix, what numpy makes of it.

        >>> Vec(1, 2, 3).dot((1, 10, 100))
        321
        """
        return np.asarray(self).dot(other) if np.ndim(other) > 1 else sum(self * other)

    __matmul__ = dot

    # np.max, np.sum and so on call these, with all of their arguments.

    def min(self, axis: int | None = None, **options: Any) -> Any:
        """The least element, or what numpy's ``min`` with these options gives."""
        return self._reduced("min", min, axis=axis, **options)

    def max(self, axis: int | None = None, **options: Any) -> Any:
        """The greatest element, or what numpy's ``max`` with these options gives."""
        return self._reduced("max", max, axis=axis, **options)

    def sum(self, axis: int | None = None, **options: Any) -> Any:
        """The exact sum, or what numpy's ``sum`` with these options gives."""
        return self._reduced("sum", sum, axis=axis, **options)

    def prod(self, axis: int | None = None, **options: Any) -> Any:
        """The exact product, or what numpy's ``prod`` with these options gives."""
        return self._reduced("prod", math.prod, axis=axis, **options)

    def _reduced(self, name: str, exact: Callable[[Self], Any], **options: Any) -> Any:
        given = {key: value for key, value in options.items() if value is not None}
        return getattr(np.asarray(self), name)(**given) if given else exact(self)

    # --- elements

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice | list[Any]) -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return tuple.__new__(type(self), tuple.__getitem__(self, key))
        if isinstance(key, list | np.ndarray):
            return type(self)(*np.asarray(self)[key])
        return tuple.__getitem__(self, key)

    @property
    def x(self) -> int:
        return tuple.__getitem__(self, 0)

    @property
    def y(self) -> int:
        return tuple.__getitem__(self, 1)

    @property
    def z(self) -> int:
        return tuple.__getitem__(self, 2)

    @property
    def w(self) -> int:
        return tuple.__getitem__(self, 3)

    r, g, b, a = x, y, z, w

    # --- as an array

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What else numpy's arrays can do (``mean``, ``any``, ``reshape`` ...), short of changing them."""
            if name.startswith("__"):
                raise AttributeError(f"a Vec has no {name}")
            array = np.asarray(self)
            array.flags.writeable = False
            return getattr(array, name)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What an array of these numbers has: int64, float64, or object for integers beyond 64 bits."""
        if float in map(type, self):
            return np.dtype(np.float64)
        return np.dtype(np.int64 if all(INT64.min <= a <= INT64.max for a in self) else object)

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)

    @property
    def ndim(self) -> int:
        return 1

    @property
    def size(self) -> int:
        """The number of elements."""
        return len(self)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Integers (cut towards zero) or floats; of how many bits does not matter here.

        >>> Vec(-1.5, 2.5, 3).astype(int)
        Vec(-1, 2, 3)
        """
        return type(self)(*self, dtype=dtype)

    def tolist(self) -> list[int]:
        return list(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a Vec is not an array and has to be copied into one")
        return np.array(tuple(self), self.dtype if dtype is None else dtype)

    def __getnewargs__(self) -> tuple[int, ...]:  # pickle and copy call Vec(*these)
        return tuple(self)

    def __repr__(self) -> str:
        return f"Vec({', '.join(map(str, self))})"

    def __str__(self) -> str:
        return f"({', '.join(map(str, self))})"


def ceil_div(a: Vec, b: Operand) -> Vec:
    """``a / b`` rounded up, element by element.

    >>> ceil_div(Vec(64, 65, -1), 64)
    Vec(1, 2, 0)
    """
    return -((-a) // b)


def round_div(a: Vec, b: Operand) -> Vec:
    """``a / b`` rounded to the nearest whole number, halves to the even one, element by element.

    >>> round_div(Vec(2, 6, 7), 4)
    Vec(0, 2, 2)
    """
    floors, doubled_rests = a // b, a % b * 2
    ups = [
        rest > divisor or (rest == divisor and floor % 2 == 1)
        for floor, rest, divisor in zip(floors, doubled_rests, Vec.of(b, len(a)), strict=True)
    ]
    return floors + ups


def _lesser(a: Any, b: Any) -> Any:
    return b if b < a else a


def _greater(a: Any, b: Any) -> Any:
    return b if b > a else a


def _python_numbers(values: Sequence[Number]) -> list[Any]:
    numbers = [python_number(value) for value in values]
    return list(map(float, numbers)) if float in map(type, numbers) else numbers


def python_number(value: Any) -> int | float:
    """A number of Python or numpy as an integer or float of Python."""
    if isinstance(value, np.ndarray | np.bool_) and value.ndim == 0:
        value = value.item()
    try:
        return int(operator.index(value))
    except TypeError:
        if isinstance(value, Real):
            return float(value)
        raise TypeError(f"a coordinate is a number, and {value!r} is none") from None


def _as_kind(values: Sequence[Number], dtype: npt.DTypeLike) -> list[Any]:
    numbers = _python_numbers(values)
    kind = np.dtype(dtype).kind
    if kind == "f":
        return list(map(float, numbers))
    if kind in "iu":
        return list(map(int, numbers))
    if kind == "O":
        return numbers
    raise ValueError(f"coordinates are integers or floats, not {np.dtype(dtype)}")
