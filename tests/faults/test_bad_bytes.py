"""Bytes that no program of ours wrote: refused with one of our errors, or read; never more, and in bounded memory.

Some 12,000 cases, always the same ones. ``python -m tests.faults.long fuzz`` tries as many as one likes. What an old
test looks at is not repeated: bombs of each compression and pictures that claim gigabytes (tests/codecs), fragile
decoders, in processes of their own (``test_damaged_bytes_are_errors``).
"""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.mutate import Unspoiled
from chaos.targets import FRAGILE, PARSERS, STURDY, array_encoding, encoded, home, info_document, survives
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cvbatch import plan
from cvbatch.codecs import ARRAY_CODECS
from cvbatch.errors import InputError
from cvbatch.storage import Blob, open_store

FEW = settings(
    max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
MANY = settings(FEW, max_examples=650)
RANDOM = st.randoms(use_true_random=False)


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_sound_is_read(name):
    # Else all that follows would be refused for another reason.
    PARSERS[name](Unspoiled())


@pytest.mark.parametrize("name", PARSERS)
def test_spoiled_input_is_refused_or_read(name):
    @MANY
    @given(RANDOM)
    def check(rng):
        survives(PARSERS[name], rng)

    check()


@pytest.mark.parametrize("name", STURDY)
def test_spoiled_chunks_are_refused_or_decoded(name):
    @FEW
    @given(RANDOM)
    def check(rng):
        survives(lambda rng: array_encoding(name, rng), rng)

    check()


def test_all_encodings_are_tried():
    # Fragile ones may end a process; tests/codecs tries them in others, and the long script, too.
    assert {*STURDY, *FRAGILE} == set(ARRAY_CODECS)
    for name in ARRAY_CODECS:
        data, layout = encoded(name)
        assert len(data) > 20
        assert layout.nbytes > 0


# Each in a process whose memory may grow by 300 MB; what they claim is far more.
CLAIMS = {
    "an info of 10**12 chunks": """
import json
from cvbatch import CloudVolume, plan
from volumes import noise, write_volume
write_volume("mem://a", noise((32, 32, 32)))
document = json.loads(bytes(open_store("mem://a").get("info").data))
document["scales"][0]["size"] = [10_000 * 64, 10_000 * 64, 10_000 * 64]
document["scales"][0]["chunk_sizes"] = [[64, 64, 64]]
open_store("mem://a").put("info", Blob(json.dumps(document).encode()))
from cvbatch.formats.precomputed import read_info
from cvbatch.inspect import describe_volume
assert read_info(open_store("mem://a")).scales[0].size[0] == 640_000
limit()
found = plan({"job": "transfer", "source": "mem://a", "destination": "mem://b", "downsample": {"mips": 3}})
assert len(found) > 10**6
found.box(found[len(found) - 1])
document["scales"][0]["sharding"] = {
    "@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 9, "hash": "identity", "minishard_bits": 6,
    "shard_bits": 40, "minishard_index_encoding": "gzip", "data_encoding": "gzip"}
open_store("mem://a").put("info", Blob(json.dumps(document).encode()))
vol = CloudVolume("mem://a", fill_missing=True)
assert not vol[0:64, 0:64, 0:64].any()
""",
    "an info that is a gzip bomb": """
from cvbatch.formats.precomputed import read_info
limit()
for claimed in (4 << 30, 100):
    open_store("mem://a").put("info", Blob(bomb(claimed), "gzip"))
    try:
        read_info(open_store("mem://a"))
    except CvbatchError as error:
        assert "more than" in str(error), error
        print("refused")
""",
    "a chunk that is a gzip bomb": """
from cvbatch import CloudVolume
from volumes import noise, write_volume
write_volume("mem://a", noise((64, 64, 64)), chunk_size=(64, 64, 64))
open_store("mem://a").put("4_4_40/0-64_0-64_0-64", Blob(bomb(4 << 30), "gzip"))
limit()
try:
    CloudVolume("mem://a")[:]
except CvbatchError as error:
    assert "4_4_40/0-64_0-64_0-64 is damaged" in str(error), error
    print("refused")
""",
    "pictures of 60,000 x 60,000": """
import struct
import numpy as np
from cvbatch.codecs import Layout, array_codec
from PIL import Image
layout = Layout((64, 64, 64, 1), np.dtype("uint8"))
def part(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
png = b"\\x89PNG\\r\\n\\x1a\\n" + part(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
png += part(b"IDAT", zlib.compress(bytes(60001))) + part(b"IEND", b"")
voxels = np.zeros((64, 64, 64, 1), np.uint8, order="F")
jpeg = bytearray(array_codec("jpeg", {}).encode(voxels))
start = jpeg.find(b"\\xff\\xc0")
jpeg[start + 5 : start + 9] = struct.pack(">HH", 60000, 60000)
# A size header of its own: not small, 18 bits of height, no ratio, 18 bits of width (ISO/IEC 18181-1, D.2).
bits = 0 | 2 << 1 | 59999 << 3 | 0 << 21 | 2 << 24 | 59999 << 26
jxl = b"\\xff\\x0a" + bits.to_bytes(8, "little") + bytes(array_codec("jxl", {}).encode(voxels))[5:]
limit()
for name, data in (("png", png), ("jpeg", jpeg), ("jxl", jxl)):
    try:
        array_codec(name, {}).decode(bytes(data), layout)
    except CvbatchError as error:
        assert "60000" in str(error), error
        print("refused")
""",
    "a minishard's index of 2**60 entries": """
import struct
from dataclasses import replace
from cvbatch.formats.precomputed.sharding.shard import decode_shard
from chaos.targets import SPEC, sharded_scale
from cvbatch.formats.precomputed import open_chunks
limit()
scale = sharded_scale()
for start, stop in ((0, 24 << 60), (0, 24 << 25), (1 << 63, (1 << 64) - 1), (5, 3), (0, 1 << 60)):
    data = struct.pack("<QQ", start, stop & (1 << 64) - 1) * 2 + bytes(100)
    store = open_store("mem://a")
    for shard in (0, 1):
        store.put(f"{scale.key}/{shard}.shard", Blob(data))
    chunks = open_chunks(store, scale)
    refusals = 0
    for read in (lambda: decode_shard(SPEC, data), lambda: chunks.read_group(list(chunks.grid.indices(scale.bounds)))):
        try:
            read()
        except CvbatchError:
            refusals += 1
    assert refusals == 2 or (24 << 60) & (1 << 64) - 1 == stop, (start, stop)
# Chunks without number that a small compressed index claims.
zipped = replace(scale, sharding={**scale.sharding, "minishard_index_encoding": "gzip"})
index = bomb(1 << 29)
for shard in (0, 1):
    store.put(f"{scale.key}/{shard}.shard", Blob(struct.pack("<QQ", 0, len(index)) * 2 + index))
chunks = open_chunks(store, zipped)
for read in (lambda: chunks.read_shard(0), lambda: chunks.read_group(list(chunks.grid.indices(scale.bounds)))):
    try:
        read()
    except CvbatchError as error:
        assert "more than" in str(error), error
        print("refused")
""",
}
REFUSALS = dict(zip(CLAIMS, (0, 2, 1, 3, 2), strict=True))
PROLOGUE = """
import resource, sys, zlib
sys.path[:0] = {paths!r}
import psutil
from cvbatch.errors import CvbatchError
from cvbatch.storage import Blob, open_store

def bomb(claimed):
    # A gzip file of 4 GB of zeros, which says that it holds so many bytes.
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    later = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + 4095 * later + bytes([3, 0]) + bytes(4) + (claimed % (1 << 32)).to_bytes(4, "little")

def limit():
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + (300 << 20),) * 2)
"""


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_claims_more_than_there_is_costs_nothing(claim):
    here = Path(__file__)
    paths = [str(here.parent), str(here.parents[1] / "support")]
    script = PROLOGUE.format(paths=paths) + CLAIMS[claim]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * REFUSALS[claim]


@pytest.mark.parametrize("number", [10**30, 10**400])
def test_numbers_that_are_too_large_to_reckon_with_are_refused(number):
    # given a configuration, and an info, with chunks that nobody can count
    home()
    target = {"path": "mem://fuzz/destination", "chunk_size": [16, 16, number]}
    with pytest.raises(InputError, match=r"cannot be written|less than or equal"):
        plan({"job": "transfer", "source": "mem://fuzz/source", "destination": target})
    document = copy.deepcopy(info_document())
    document["scales"][0]["chunk_sizes"] = [[64, 64, number]]
    open_store("mem://fuzz/huge").put("info", Blob(json.dumps(document).encode()))
    with pytest.raises(InputError):
        plan({"job": "transfer", "source": "mem://fuzz/huge", "destination": "mem://fuzz/destination"})
