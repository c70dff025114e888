"""The configuration as a JSON schema, for editors.

Made from the model, whose own schema knows nothing of what its validators do first: short forms, words for None, and
rules between keys. These are added here; ``tests/config/test_schema.py`` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cvbatch.codecs import ARRAY_CODECS
from cvbatch.config.model import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The first line of a configuration by which the YAML extensions of editors find the schema.
EDITOR_LINE = "# yaml-language-server: $schema="

QUEUES = "^(local$|fq://|sqs://)"
# As pydantic's ByteSize reads it: units of any case, and what comes after them is not looked at.
BYTES = r"^\s*\d*\.?\d+(\s*(([KkMmGgTtPpEe][Ii]?)?[Bb]([Ii][Tt])?|[KkMmGgTtPpEe])(?!\w)|(?!\s*\w|\.\d))"

URL = {"type": "string", "description": "The URL alone: all else is left out."}
# Models that a text alone stands for.
SHORT_FORMS: Mapping[str, Mapping[str, Any]] = {
    "SourceConfig": URL,
    "DestinationConfig": URL,
    "QueueConfig": {**URL, "pattern": QUEUES},
    "EncodingConfig": {"type": "string", "description": "The name alone: its parameters are left out."},
}
# Keys with a word that says the same as leaving them out.
WORDS: Mapping[str, Mapping[str, str]] = {
    "Config": {"region": "all"},
    "WorkersConfig": {"processes": "auto", "threads": "auto", "memory": "auto"},
}
# What is said of one key by another. That min is below max is beyond a schema.
RULES: Mapping[str, Mapping[str, Any]] = {
    "DestinationConfig": {
        "if": {"properties": {"compress_level": {"type": "integer"}}, "required": ["compress_level"]},
        "then": {"properties": {"compress": {"enum": ["gzip", "br", "zstd", "xz", "bz2"]}}, "required": ["compress"]},
    },
    "DownsampleConfig": {
        "if": {"properties": {"sparse": {"const": True}}, "required": ["sparse"]},
        "then": {"properties": {"method": {"enum": ["auto", "average", "mode"]}}},
        "not": {"properties": {"factor": {"const": [1, 1, 1]}}, "required": ["factor"]},
    },
}


def config_schema() -> dict[str, Any]:
    """The JSON schema, draft 2020-12, of what :func:`~cvbatch.config.load_config` takes.

    >>> config_schema()["required"]
    ['job', 'source']
    """
    made = Config.model_json_schema()
    models = {"Config": made, **made["$defs"]}
    for name, model in models.items():
        for property_name, schema in model["properties"].items():
            _simplify(schema)
            if (word := WORDS.get(name, {}).get(property_name)) is not None:
                schema["anyOf"].insert(0, {"const": word})
        for docstring in ("title", "description"):
            model.pop(docstring, None)
        model.update(RULES.get(name, {}))
    _refine(models)
    definitions = {name: _with_short_form(name, models[name]) for name in made.pop("$defs")}
    heading = {"$schema": DIALECT, "title": "cvbatch configuration", "description": "A job of cvbatch."}
    return {**heading, **made, "$defs": definitions}


def _refine(models: Mapping[str, dict[str, Any]]) -> None:
    """Keys of which the model says less than it checks."""
    models["QueueConfig"]["properties"]["url"]["pattern"] = QUEUES
    models["EncodingConfig"]["properties"]["name"]["examples"] = _encodings()
    for schema in models["WorkersConfig"]["properties"]["memory"]["anyOf"]:
        if schema.get("type") == "string":
            schema["pattern"] = BYTES


def _encodings() -> list[str]:
    return [name for name, codec in ARRAY_CODECS.items() if codec.traits.writable]


def _with_short_form(name: str, model: dict[str, Any]) -> dict[str, Any]:
    if name not in SHORT_FORMS:
        return model
    short = dict(SHORT_FORMS[name])
    if name == "EncodingConfig":
        short["examples"] = _encodings()
    return {"anyOf": [short, model]}


def _simplify(schema: dict[str, Any]) -> None:
    """Without what helps nobody who writes YAML, and with triples as every draft of JSON schema knows them."""
    for part in _parts(schema):
        part.pop("title", None)
        if part.get("default", 0) in (None, "") or isinstance(part.get("default"), dict):
            del part["default"]
        if "prefixItems" in part:
            part["items"] = part.pop("prefixItems")[0]


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema, and those of which it says that it is one of."""
    yield schema
    for each in schema.get("anyOf", ()):
        yield from _parts(each)
