"""Whether what was read from JSON is what its types say: anybody may have written it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from cvbatch.geometry import Bbox, Vec

Test: TypeAlias = Callable[[Any], bool]


def require_types(value: object) -> None:
    """Raise TypeError where a member of a dataclass, at any depth, is not of the type that it is declared with.

    A whole number is a ``float`` too, has 64 bits at most, and a bool is none. Vectors and boxes have three axes.
    """
    kind: Any = type(value)
    for name, test in _members(kind):
        member = getattr(value, name)
        if not test(member):
            raise TypeError(f"{name} can't be {member!r:.80}")


@cache
def _members(kind: Any) -> tuple[tuple[str, Test], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, _test(hints[each.name])) for each in fields(kind))


@cache
def _test(hint: Any) -> Test:
    """What tells whether a value is of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: True
    if origin in (Union, UnionType):
        tests = [_test(each) for each in arguments]
        return lambda value: any(test(value) for test in tests)
    if origin is tuple:
        each_is = _test(arguments[0])
        return lambda value: isinstance(value, tuple) and all(map(each_is, value))
    if origin is dict:
        key_is, member_is = map(_test, arguments)
        return lambda value: isinstance(value, dict) and all(map(key_is, value)) and all(map(member_is, value.values()))
    return _test_of_class(hint)


def _test_of_class(kind: type) -> Test:
    if kind is float:
        return lambda value: type(value) is float or _is_whole(value)
    if kind is int:
        return _is_whole
    if kind is Vec:
        return _is_vector
    if kind is Bbox:
        return lambda value: isinstance(value, Bbox) and _is_vector(value.minpt) and _is_vector(value.maxpt)
    if kind in (str, bool, NoneType):
        return lambda value: type(value) is kind
    if is_dataclass(kind):
        members = _members(kind)
        return lambda value: isinstance(value, kind) and all(test(getattr(value, name)) for name, test in members)
    raise NotImplementedError(f"{kind} in what is read from JSON")


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _is_vector(value: Any) -> bool:
    return isinstance(value, Vec) and len(value) == 3 and all(map(_is_whole, value))
