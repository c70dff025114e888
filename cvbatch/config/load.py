"""From a YAML file or a dict to a checked configuration."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from cvbatch.config.model import (
    Config,
    DestinationConfig,
    DownsampleConfig,
    QueueConfig,
    RegionConfig,
    SourceConfig,
    WorkersConfig,
)
from cvbatch.config.origin import Origin, parse_yaml
from cvbatch.errors import ConfigError, Problem

SECTIONS: Mapping[str, type[BaseModel]] = {
    "source": SourceConfig,
    "destination": DestinationConfig,
    "region": RegionConfig,
    "downsample": DownsampleConfig,
    "queue": QueueConfig,
    "workers": WorkersConfig,
}
# A text in place of a mapping is the value of this key, or of ``path``.
SHORT_FOR: Mapping[str, str] = {"queue": "url", "encoding": "name"}


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration and where its keys were written."""

    config: Config
    origin: Origin


def load_config(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> LoadedConfig:
    """A configuration from a YAML file or a dict.

    ``overrides`` are ``key.path=value`` with a YAML value. Raises :class:`ConfigError` with all problems,
    each with file, line and key.

    >>> load_config({"job": "transfer", "source": "mem://a", "destination": "mem://b"}).config.job
    'transfer'
    """
    if isinstance(source, Mapping):
        value, origin = copy.deepcopy(dict(source)), Origin()
    else:
        value, origin = parse_yaml(_read(source), os.fspath(source))
    for override in overrides:
        value, origin = _override(value, origin, override)
    try:
        return LoadedConfig(Config.model_validate(value), origin)
    except ValidationError as error:
        raise ConfigError(_problems(error.errors(), origin)) from error


def _read(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Problem(os.fspath(path), "", f"cannot be read: {reason}")]) from error


def _override(value: dict[str, Any], origin: Origin, override: str) -> tuple[dict[str, Any], Origin]:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise ConfigError([Problem("--set", "", f"{override!r} is not key=value, for example destination.compress=br")])
    path = tuple(name.split("."))
    inner = value
    for part in path[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {SHORT_FOR.get(part, "path"): inner[part]} if isinstance(inner.get(part), str) else {}
        inner = inner[part]
    try:
        inner[path[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([Problem("--set", name, f"not YAML: {text!r}")]) from error
    return value, replace(origin, overridden=origin.overridden | {path})


def _problems(details: Sequence[Any], origin: Origin) -> list[Problem]:
    """One for each key, where several forms of a value were tried."""
    found: dict[tuple[Any, ...], Problem] = {}
    for detail in details:
        path = tuple(part for part in detail["loc"] if not _is_form(part))
        problem = _problem({**detail, "loc": path}, origin)
        before = found.get(path)
        both = problem.message if before is None else f"{before.message.partition(', not ')[0]}, or {problem.message}"
        found[path] = replace(problem, message=both)
    return list(found.values())


def _is_form(part: object) -> bool:
    """Whether this is no key, but one of the forms that a value may have."""
    return isinstance(part, str) and "[" in part


def _problem(detail: Any, origin: Origin) -> Problem:
    path = tuple(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return origin.problem(path, _unknown_key(path))
    if detail["type"] == "missing":
        return origin.problem(path, "is missing")
    if detail["type"] == "byte_size":
        return origin.problem(path, f"should be bytes, such as 2GiB, not {detail['input']!r:.80}")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {detail['input']!r:.80}"
    return origin.problem(path, message)


def _unknown_key(path: Sequence[str | int]) -> str:
    model = Config if len(path) == 1 else SECTIONS.get(str(path[0]))
    known = sorted(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.5)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; there are {', '.join(known)}"
