"""The JSON schema for editors takes what ``load_config`` takes, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cvbatch import load_config
from cvbatch.config.schema import config_schema
from cvbatch.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
SCHEMA = config_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

BASE = {"job": "transfer", "source": "mem://a", "destination": {"path": "mem://b"}}
FULL = {
    "job": "transfer",
    "source": {
        "path": "s3://a/b",
        "endpoint": "http://127.0.0.1:9000",
        "region_name": "us-east-1",
        "anonymous": True,
        "request_payer": "requester",
        "use_https": False,
        "stall_seconds": 2.5,
        "mip": 1,
        "missing": "fill",
    },
    "mips": [0, 1],
    "destination": {
        "path": "mem://b",
        "chunk_size": [64, 64, 64],
        "encoding": {"name": "jpeg", "quality": 85},
        "compress": "gzip",
        "compress_level": 6,
        "sharding": {"@type": "neuroglancer_uint64_sharded_v1", "shard_bits": 3},
        "extent": "region",
        "align": "expand",
        "mode": "create",
        "cache_control": "no-cache",
    },
    "region": {"min": [0, -1, 0], "max": [64, 64, 64], "mip": 0},
    "translate": [1, -2, 3],
    "downsample": {"mips": 2, "factor": [2, 2, 1], "method": "mode", "sparse": True},
    "delete_background": False,
    "background": 0,
    "queue": {"url": "sqs://q", "max_attempts": 3, "endpoint": "", "region_name": ""},
    "workers": {"processes": 2, "threads": 1, "memory": "2GiB"},
    "state": "file://state",
}


def loads(config: object) -> bool:
    """What ``load_config`` says of a YAML text of it."""
    assert isinstance(config, dict)
    try:
        load_config(config)
    except ConfigError:
        return False
    return True


def changed(path: tuple[str | int, ...], value: Any, base: dict[str, Any]) -> dict[str, Any]:
    """A configuration with another value at a place."""
    made = deepcopy(base)
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_of_the_repository_are_valid(path):
    load_config(path)
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


GOOD = [
    {},
    {"source": {"path": "mem://a", "mip": 2}},
    {"destination": None},
    {"destination": "mem://b"},
    {"destination": {"path": "mem://b", "encoding": "raw"}},
    {"destination": {"path": "mem://b", "encoding": {"name": "jpeg", "quality": 85}}},
    {"destination": {"path": "mem://b", "sharding": "auto"}},
    {"destination": {"path": "mem://b", "sharding": {}}},
    {"destination": {"path": "mem://b", "compress_level": None}},
    {"region": "all"},
    {"region": None},
    {"region": {"min": [0, 0, 0], "max": [1, 1, 1], "mip": None}},
    {"queue": "local"},
    {"queue": "fq://"},
    {"queue": {"max_attempts": 1}},
    {"queue": {"url": "sqs://name"}},
    {"workers": {"processes": "auto", "threads": "auto", "memory": "auto"}},
    {"workers": {}},
    *({"workers": {"memory": size}} for size in (0, 10**12, "2GiB", "500 MB", ".5g", "12", " 3kib", "2bit", "1.5tb x")),
    {"state": "auto"},
    {"mips": []},
    {"downsample": {"mips": 0}},
    {"downsample": {"mips": 1, "sparse": True, "method": "mode"}},
    {"background": -(10**30)},
]
BAD = [
    {"job": "copy"},
    {"job": None},
    {"source": None},
    {"source": {}},
    {"source": {"path": 1}},
    {"source": {"path": "mem://a", "mip": -1}},
    {"source": {"path": "mem://a", "mip": "auto"}},
    {"source": {"path": "mem://a", "chunk_size": [1, 1, 1]}},
    {"source": {"path": "mem://a", "anonymous": "yes"}},
    {"source": {"path": "mem://a", "stall_seconds": 0}},
    {"sorce": "mem://a"},
    {"destination": []},
    {"destination": {"path": "mem://b", "chunk_size": [64, 64]}},
    {"destination": {"path": "mem://b", "chunk_size": [64, 64, 64, 1]}},
    {"destination": {"path": "mem://b", "chunk_size": [64, 64, 0]}},
    {"destination": {"path": "mem://b", "chunk_size": 64}},
    {"destination": {"path": "mem://b", "encoding": {"quality": 85}}},
    {"destination": {"path": "mem://b", "sharding": "all"}},
    {"destination": {"path": "mem://b", "compress": "zip"}},
    {"destination": {"path": "mem://b", "compress_level": 3}},
    {"destination": {"path": "mem://b", "compress_level": 3, "compress": "none"}},
    {"destination": {"path": "mem://b", "compress_level": 3, "compress": None}},
    {"region": "auto"},
    {"region": {"min": [0, 0, 0]}},
    {"region": {"min": [0, 0, 0.5], "max": [1, 1, 1]}},
    {"translate": None},
    {"translate": [1, 2]},
    {"downsample": {}},
    {"downsample": {"mips": 1, "factor": [5, 1, 1]}},
    {"downsample": {"mips": 1, "factor": [1, 1, 1]}},
    {"downsample": {"mips": 1, "sparse": True, "method": "min"}},
    {"downsample": {"mips": 1, "sparse": 1}},
    {"queue": "sqs:name"},
    {"queue": {"url": "local "}},
    {"queue": None},
    {"queue": {"max_attempts": "auto"}},
    {"workers": "auto"},
    {"workers": {"processes": 0}},
    {"workers": {"processes": "two"}},
    {"workers": {"processes": True}},
    *({"workers": {"memory": size}} for size in (-1, 1.5, "auto ", "2 xb", "2XB", "1.5e3", "much", "")),
    {"state": 3},
    {"mips": 1},
    {"mips": [-1]},
    {"background": "0"},
]


@pytest.mark.parametrize("keys", GOOD, ids=str)
def test_both_take(keys):
    assert loads({**BASE, **keys})
    VALIDATOR.validate({**BASE, **keys})


@pytest.mark.parametrize("keys", BAD, ids=str)
def test_both_refuse(keys):
    assert not loads({**BASE, **keys})
    assert not VALIDATOR.is_valid({**BASE, **keys})


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every value in a configuration."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


# Numbers that are whole have no point in a schema, and load_config takes texts and truths for a number of these two.
EXCEPTED = {("source", "stall_seconds"), ("workers", "memory")}
WORD = st.sampled_from(["auto", "all", "none", "local", "fq://a", "gzip", "raw", "2GiB", "mode", "create", "", "x"])
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-3, 6), st.just(0.5), WORD)
VALUE = st.one_of(
    SCALAR,
    st.lists(st.integers(-1, 5), max_size=4),
    st.lists(SCALAR, min_size=3, max_size=3),
    st.dictionaries(st.sampled_from(["path", "url", "name", "mips", "min", "max", "mip", "other"]), SCALAR, max_size=3),
)


@given(base=st.sampled_from([BASE, FULL]), path=st.sampled_from(sorted(places(FULL), key=str)), value=VALUE)
def test_both_say_the_same_of_any_value_at_any_place(base, path, value):
    if path in EXCEPTED and isinstance(value, bool | str):
        return
    try:
        config = changed(path, value, base)
    except (KeyError, TypeError):  # The place is not in this base.
        return
    region = config.get("region")
    if isinstance(region, dict) and VALIDATOR.is_valid(config) and not loads(config):
        # A schema can't compare two values.
        assert any(low >= high for low, high in zip(region["min"], region["max"], strict=True))
        return
    assert VALIDATOR.is_valid(config) == loads(config)


@given(st.fixed_dictionaries({}, optional={key: st.one_of(VALUE, st.just(value)) for key, value in FULL.items()}))
def test_both_say_the_same_of_any_keys(config):
    if VALIDATOR.is_valid(config) != loads(config):
        assert isinstance(config["region"], dict)
        assert not all(low < high for low, high in zip(config["region"]["min"], config["region"]["max"], strict=True))


@given(st.from_regex(r"[ ]?([0-9]{1,3}|[0-9]{0,2}\.[0-9]{1,2})[ ]?[kKGiIbBtTxe0-9]{0,4}[ ]?", fullmatch=True))
def test_both_say_the_same_of_any_number_of_bytes(size):
    config = changed(("workers",), {"memory": size}, BASE)
    assert VALIDATOR.is_valid(config) == loads(config)


def test_every_key_is_described():
    models = {"Config": SCHEMA, **SCHEMA["$defs"]}
    objects = {
        name: next(each for each in [model, *model.get("anyOf", ())] if "properties" in each)
        for name, model in models.items()
    }
    undescribed = [
        f"{name}.{key}"
        for name, model in objects.items()
        for key, schema in model["properties"].items()
        if not schema.get("description", "").endswith((".", "…"))
    ]
    assert undescribed == []


def test_the_command_writes_what_editors_read(tmp_path):
    # when it is printed, and when it is written
    def cvbatch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cvbatch", "schema", *arguments]
        return subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)

    printed, written = cvbatch(), cvbatch("--output", "cvbatch.schema.json")
    # then both are the schema, and the line for configurations is said
    assert json.loads(printed.stdout) == SCHEMA == json.loads((tmp_path / "cvbatch.schema.json").read_text())
    assert "# yaml-language-server: $schema=cvbatch.schema.json" in written.stdout
    # and a file that can't be written is an error
    refused = cvbatch("--output", "nowhere/schema.json")
    assert (refused.returncode, "nowhere/schema.json can't be written" in refused.stderr) == (2, True)
