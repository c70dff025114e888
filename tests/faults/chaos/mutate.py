"""Spoils valid input: JSON documents member by member, bytes by flips, cuts and splices.

Every choice is drawn from a ``random.Random``: one with a seed in the long script, Hypothesis' own in tests, which then
finds the smallest case.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

# What a member may be in place of what it should be.
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63,
    2**64,
    10**12,
    10**400,
    -(10**30),
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "..",
    "../../etc",
    "\0",
    "\ud800",
    "x" * 300,
    "raw",
    "file:///",
    "s3://",
    "\N{PILE OF POO}",
    [],
    [[]],
    [0, 0, 0],
    [1, 2],
    [None] * 3,
    [10**12] * 3,
    [-1, 0, 1],
    {},
    {"@type": "neuroglancer_uint64_sharded_v1"},
    {"": None},
)


class Unspoiled(Random):
    """Draws the first of everything, and spoils nothing: what a target takes for granted has to be valid."""

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return 0 if stop is None else start


def spoiled_document(document: Any, rng: Random) -> Any:
    """A copy with one to four members changed, dropped, doubled, or put elsewhere."""
    found = copy.deepcopy(document)
    if isinstance(rng, Unspoiled):
        return found
    for _ in range(rng.randint(1, 4)):
        places = list(_places(found))
        if not places:
            return rng.choice(HOSTILE)
        inside, name = rng.choice(places)
        kind = rng.randrange(8)
        if kind < 4:
            inside[name] = copy.deepcopy(rng.choice(HOSTILE))
        elif kind == 4:
            del inside[name]
        elif kind == 5:
            other, there = rng.choice(places)
            inside[name] = copy.deepcopy(other[there])
        elif kind == 6 and type(inside[name]) is int:
            inside[name] += rng.choice((-1, 1, 7, -(2**40), 2**40))
        elif isinstance(inside, list):
            inside.insert(rng.randint(0, len(inside)), copy.deepcopy(inside[name]))
        else:
            inside[rng.choice(("extra", "", "redirect", "sharding", "@type"))] = copy.deepcopy(rng.choice(HOSTILE))
    return found


def _places(document: Any) -> Any:
    """Every member of every object and list: what it is in, and its name or number there."""
    pending = [document]
    while pending:
        inside = pending.pop()
        names = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        for name in names:
            yield inside, name
            pending.append(inside[name])


def spoiled_bytes(data: bytes, rng: Random) -> bytes:
    """Bits flipped, cut short, a part of it elsewhere or twice, numbers at their limits, or nothing but noise."""
    if isinstance(rng, Unspoiled):
        return data
    if not data:
        return rng.randbytes(4)
    return rng.choice(WAYS)(data, rng)


def _cut_short(data: bytes, rng: Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _noise(data: bytes, rng: Random) -> bytes:
    return rng.randbytes(rng.randint(0, 64))


def _bits_flipped(data: bytes, rng: Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _header_changed(data: bytes, rng: Random) -> bytes:
    """Headers decide about memory: they get more of the attention."""
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        spoiled[rng.randrange(min(64, len(spoiled)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(spoiled)


def _part(data: bytes, rng: Random) -> tuple[int, int]:
    first, last = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    return first, last


def _spliced(data: bytes, rng: Random) -> bytes:
    (first, last), place = _part(data, rng), rng.randrange(len(data))
    return data[:place] + data[first:last] + data[place:]


def _part_removed(data: bytes, rng: Random) -> bytes:
    first, last = _part(data, rng)
    return data[:first] + data[last:]


def _number_at_its_limit(data: bytes, rng: Random) -> bytes:
    width = rng.choice((2, 4, 8))
    place = rng.randrange(len(data)) // width * width
    number = rng.choice((0, 1, (1 << (8 * width)) - 1, 1 << (8 * width - 1), (1 << (8 * width - 4)) - 1))
    return data[:place] + number.to_bytes(width, rng.choice(("little", "big"))) + data[place + width :]


WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _cut_short,
    _noise,
    _bits_flipped,
    _header_changed,
    _spliced,
    _part_removed,
    _number_at_its_limit,
)


def spoiled_json(document: Any, rng: Random) -> bytes:
    """A spoiled document as bytes; one in four is spoiled as text, too."""
    text = json.dumps(spoiled_document(document, rng))
    data = text.encode("utf-8", "surrogatepass")
    return spoiled_bytes(data, rng) if rng.randrange(4) == 3 else data
