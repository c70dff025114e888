"""Where in a YAML file each key stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from cvbatch.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Origin:
    """The file that a configuration came from, and the line of each key in it."""

    name: str = "configuration"
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: frozenset[KeyPath] = frozenset()

    def problem(self, key: Sequence[str | int], message: str) -> Problem:
        """A problem at a key, with the line of the key or of the nearest one around it."""
        path = tuple(key)
        return Problem(self._where(path), ".".join(map(str, path)), message)

    def _where(self, path: KeyPath) -> str:
        around = [path[:length] for length in range(len(path), 0, -1)]
        if any(key in self.overridden for key in around):
            return "--set"
        lines = [self.lines[key] for key in around if key in self.lines]
        return f"{self.name}:{lines[0]}" if lines else self.name


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], Origin]:
    """The mapping in a YAML text, and where its keys stand.

    Raises :class:`ConfigError` for text that is no YAML mapping, and for keys that are given twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        raise ConfigError([Problem(where, "", f"not YAML: {getattr(error, 'problem', None) or error}")]) from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(value, dict):
        raise ConfigError([Problem(name, "", "should be a mapping of keys such as job, source and destination")])
    lines: dict[KeyPath, int] = {}
    twice = []
    for path, line in _keys(node, ()):
        if path in lines:
            twice.append(Problem(f"{name}:{line}", ".".join(map(str, path)), f"given before, at line {lines[path]}"))
        lines[path] = line
    if twice:
        raise ConfigError(twice)
    return value, Origin(name, lines)


def _keys(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            here = (*path, number)
            yield here, value.start_mark.line + 1
            yield from _keys(value, here)
