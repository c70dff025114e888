"""What is fed with spoiled input: one function a kind of input, which raises nothing but errors of cvbatch.

A target takes a ``random.Random``, spoils something valid with it, and has it read by the code that would. Whatever
comes out of a target that is not a :class:`~cvbatch.errors.CvbatchError` is a defect.
"""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from garbage import sound
from volumes import labels, noise, write_volume

from cvbatch import load_config
from cvbatch import plan as plan_of
from cvbatch.codecs import ARRAY_CODECS, array_codec, byte_codec, decompress
from cvbatch.codecs.bytes import BYTE_ENCODINGS
from cvbatch.config.origin import parse_yaml
from cvbatch.counts import Counts, TaskResult
from cvbatch.errors import CvbatchError
from cvbatch.findings import Finding, Verdict
from cvbatch.formats.precomputed import open_chunks, read_info, read_provenance
from cvbatch.formats.precomputed.provenance import add_processing
from cvbatch.formats.precomputed.sharding import ShardingSpec
from cvbatch.formats.precomputed.sharding.shard import decode_minishard, decode_shard, encode_shard, minishard_span
from cvbatch.geometry import Vec
from cvbatch.metadata import Batch, Course, Failure, Job, Receipt
from cvbatch.metadata.job import job_document, read_job_document
from cvbatch.planner import Plan
from cvbatch.queues import Message
from cvbatch.runtime.lock import acquire
from cvbatch.runtime.passes import check_keys, tasks_done
from cvbatch.runtime.state import State
from cvbatch.storage import Blob, open_store, parse_location

from .mutate import spoiled_bytes, spoiled_document, spoiled_json

Target = Callable[[Random], None]
serial = itertools.count()
SPEC = ShardingSpec(1, 1, 1, minishard_index_encoding="raw", data_encoding="raw")
ZIPPED = ShardingSpec(1, 1, 1, minishard_index_encoding="gzip", data_encoding="gzip")


def survives(target: Target, rng: Random) -> bool:
    """Run a target once; whether its input was taken. Anything but an error of cvbatch goes on to the caller."""
    try:
        target(rng)
    except CvbatchError as error:
        if not str(error).strip():
            raise AssertionError("an error without words") from error
        return False
    return True


@cache
def home() -> str:
    """A volume in memory that jobs can be made for, and what is said of it."""
    url = "mem://fuzz/source"
    write_volume(url, noise((64, 48, 32)), chunk_size=(16, 16, 16))
    write_volume("mem://fuzz/labels", labels((64, 48, 32), "uint32"), "segmentation", chunk_size=(16, 16, 16))
    return url


@cache
def info_document() -> dict[str, Any]:
    """An ``info`` with most of what one may have."""
    sharding = {**SPEC.to_json(), "hash": "murmurhash3_x86_128"}
    scales = [
        {
            "key": f"{4 << mip}_4_40",
            "size": [640 >> mip, 512, 64],
            "voxel_offset": [0, -16, 8],
            "resolution": [4 << mip, 4, 40],
            "chunk_sizes": [[64, 64, 16]],
            "encoding": encoding,
            **more,
        }
        for mip, (encoding, more) in enumerate(
            [
                ("raw", {}),
                ("jpeg", {"jpeg_quality": 80}),
                ("compressed_segmentation", {"compressed_segmentation_block_size": [8, 8, 8]}),
                ("png", {"sharding": sharding}),
            ]
        )
    ]
    return {"@type": "neuroglancer_multiscale_volume", "type": "image", "data_type": "uint8", "num_channels": 1} | {
        "scales": scales
    }


def spoiled_store(key: str, document: Any, rng: Random) -> Any:
    """A store in which a spoiled document lies under a key, compressed or not."""
    store = open_store("mem://fuzz/document")
    data, encoding = spoiled_json(document, rng), rng.choice(("", "", "", "gzip", "br", "zstd", "nonsense"))
    if encoding in ("gzip", "br", "zstd") and rng.randrange(2):
        data = bytes(byte_codec(encoding, 1, "image", "raw").compress(data))
    store.put(key, Blob(data, encoding))
    return store


def info(rng: Random) -> None:
    """Read an ``info``, and look at all its scales as commands do."""
    found = read_info(spoiled_store("info", info_document(), rng))
    assert found is not None
    for scale in found.scales:
        try:
            array_codec(scale.encoding, scale.other)
            chunks = open_chunks(open_store("mem://fuzz/document"), scale)
            type(chunks).write_cell(scale)
            assert chunks.read(Vec(0, 0, 0)) is None
        except CvbatchError:
            continue


def provenance(rng: Random) -> None:
    """Read a ``provenance``, and add to it."""
    entry = {"method": {"task": "cvbatch transfer", "job": "0123"}, "by": "me", "date": "2026-01-01"}
    document = {"description": "d", "owners": ["me"], "processing": [entry], "sources": ["file:///em"]}
    store = spoiled_store("provenance", document, rng)
    read_provenance(store)
    add_processing(store, {"method": {"job": "4567"}}, "mem://source")


CONFIG: Mapping[str, Any] = {
    "job": "transfer",
    "source": {"path": "mem://fuzz/source", "mip": 0, "missing": "error"},
    "destination": {
        "path": "mem://fuzz/destination",
        "chunk_size": [16, 16, 8],
        "encoding": {"name": "png", "level": 3},
        "compress": "gzip",
        "compress_level": 4,
    },
    "region": {"mip": 0, "min": [0, 0, 0], "max": [32, 48, 32]},
    "downsample": {"mips": 1, "factor": [2, 2, 1], "method": "average"},
    "queue": {"url": "local", "max_attempts": 3},
    "workers": {"processes": 2, "memory": "1GiB", "threads": 2},
}


def yaml_text(rng: Random) -> None:
    """Read a configuration's text."""
    import yaml

    text = yaml.safe_dump(dict(CONFIG), sort_keys=False)
    extras = ("!!python/object/apply:os.system ['true']", "&a [*a]", "? [1, 2]\n: 3", "<<: *x", "\t", "job: job", "---")
    if rng.randrange(3) == 2:
        lines = text.splitlines()
        lines.insert(rng.randint(0, len(lines)), rng.choice(extras))
        text = "\n".join(lines)
    parse_yaml(spoiled_bytes(text.encode(), rng).decode(errors="replace"), "fuzz.yaml")


def configuration(rng: Random) -> None:
    """Check a configuration, and plan what it asks for."""
    home()
    found = spoiled_document(dict(CONFIG), rng)
    if not isinstance(found, dict):
        return
    loaded = load_config(found)
    places = [found.get(name) for name in ("source", "destination")]
    urls = [each.get("path") if isinstance(each, dict) else each for each in places]
    # Only what is in memory: other places would be looked at.
    if all(isinstance(url, str) and url.startswith("mem://") for url in urls) and "state" not in found:
        len(plan_of(loaded))


def message(rng: Random) -> None:
    """Read a queue's message."""
    text = Message(Batch("0123456789abcdef", 0, 0, 8), parse_location("file:///state")).encode()
    Message.decode(spoiled_json(json.loads(text), rng).decode("utf-8", "surrogateescape"))


@cache
def receipt_document() -> dict[str, Any]:
    finding = Finding("4_4_40", "4_4_40/0-16_0-16_0-16", "differs", "0-0")
    result = TaskResult(Counts(chunks_read=3, stages={"fetch": 0.5}), Verdict(8, 4096, 0, 0.0, 0.0, (finding,)))
    course = Course((0.5, 0.25), (1,), {0: ("it failed",)}, 10**8)
    return Receipt(Batch("j", 0, 0, 2), result, "2026-01-01T00:00:00", "host-1", course).to_json()


def receipts(rng: Random) -> None:
    """Read the receipts of a state, as ``status``, ``report`` and ``verify`` do."""
    store = open_store(url := "mem://fuzz/receipts")
    store.delete_all(list(store.list()))
    name = rng.choice(("0-000000000000-000000000002", "0-5-2", "x-1-2", "0-0-99999999999999999999", "²-1-3", "a b"))
    store.put(f"receipts/{name}.json", Blob(spoiled_json(receipt_document(), rng)))
    failure = Failure("0-1", "(0, 0, 0)–(1, 1, 1)", ("because",), "Traceback").to_json()
    store.put("failures/0-1.json", Blob(spoiled_json(failure, rng)))
    store.put("attempts/0-1/1-host.json", Blob(spoiled_json({"error": "because", "at": "now"}, rng)))
    state = State(parse_location(url), store, "j")
    state.overview()
    for look in (state.counts, state.verdict, state.failures, state.done, state.sent):
        try:
            look()
        except CvbatchError:
            continue


@cache
def job() -> tuple[Job, Any]:
    home()
    config = {**CONFIG, "destination": "mem://fuzz/destination"}
    plan = plan_of(load_config(config))
    return plan.job, plan.spec


def job_file(rng: Random) -> None:
    """Read a ``job.json`` as workers do, whose id fits its content, as somebody who means ill would write it."""
    document = spoiled_document(job_document(*job()), rng)
    if isinstance(document, dict) and rng.randrange(4):
        found = document.get("job")
        try:
            document["id"] = Job.from_json(found, document["reach"]).id
        except Exception:
            document["id"] = "0" * 16
    store = open_store(url := "mem://fuzz/job")
    store.put("job.json", Blob(json.dumps(document).encode("utf-8", "surrogatepass")))
    ident = document["id"] if isinstance(document, dict) and isinstance(document.get("id"), str) else "x"
    read = State(parse_location(url), store, ident).read_job()
    assert read is not None
    check_keys(read[0])
    plan = Plan(*read)
    plan.passes[0].box(0)
    tasks_done(plan, {})


def raw_job_file(rng: Random) -> None:
    """Read a ``job.json`` that is damaged."""
    read_job_document(spoiled_document(job_document(*job()), rng))


def lock_file(rng: Random) -> None:
    """Meet the spoiled lock of somebody else."""
    plan = Plan(*job())
    store = open_store(plan.job.destination)
    store.delete_all(list(store.list(".cvbatch/locks/")))
    owner = {"host": "elsewhere", "pid": 1, "started": "x"}
    document = {
        "job": "other",
        "owner": owner,
        "since": "now",
        "expires": 1e12,
        "boxes": {"4_4_40": [900, 0, 0, 909, 9, 9]},
    }
    name = rng.choice(("other", plan.job.id))
    store.put(f".cvbatch/locks/{name}.json", Blob(spoiled_json(document, rng)))
    acquire(plan).release()


def _chunks() -> dict[int, bytes]:
    return {number: bytes([number]) * (number * 7 % 50) for number in range(16)}


@cache
def shard_file(zipped: bool) -> bytes:
    spec = ZIPPED if zipped else SPEC
    codec = byte_codec("gzip" if zipped else "none", None, "image", "raw")
    mine = {number: bytes(codec.compress(data)) for number, data in _chunks().items() if spec.place(number)[0] == 0}
    return encode_shard(spec, mine)


def shard(rng: Random) -> None:
    """Read a shard as a whole."""
    zipped = rng.randrange(2) == 1
    decode_shard(ZIPPED if zipped else SPEC, spoiled_bytes(shard_file(zipped), rng))


def minishard(rng: Random) -> None:
    """Read the index of a minishard, and where it should be."""
    zipped = rng.randrange(2) == 1
    spec, data = (ZIPPED, shard_file(True)) if zipped else (SPEC, shard_file(False))
    span = minishard_span(spec, data[:16])
    assert span is not None
    minishard_span(spec, spoiled_bytes(data[:16], rng)[:16].ljust(16, b"\xff"))
    decode_minishard(spec, spoiled_bytes(data[slice(*span)], rng)).find(rng.choice((0, 3, 2**64 - 1)))


@cache
def sharded_scale() -> Any:
    document = copy.deepcopy(info_document())
    scale = {**document["scales"][0], "sharding": SPEC.to_json(), "size": [64, 64, 64], "chunk_sizes": [[32, 32, 16]]}
    store = open_store("mem://fuzz/sharded-info")
    store.put("info", Blob(json.dumps({**document, "scales": [scale]}).encode()))
    found = read_info(store)
    assert found is not None
    return found.scales[0]


def sharded_chunk(rng: Random) -> None:
    """Read chunks by way of a shard's indices."""
    store = open_store("mem://fuzz/sharded")
    scale = sharded_scale()
    for number in range(2):
        store.put(f"{scale.key}/{number}.shard", Blob(spoiled_bytes(shard_file(False), rng)))
    chunks = open_chunks(store, scale)
    chunks.read_group(list(chunks.grid.indices(scale.bounds)))


MOST_BYTES = 1 << 16


@cache
def compressed(name: str) -> bytes:
    content = bytes(range(256)) * 8 + b"\0" * 2000
    return bytes(byte_codec(name, None, "image", "raw").compress(content))


def byte_encoding(rng: Random) -> None:
    """Decompress what no program has compressed."""
    name = rng.choice([name for name in BYTE_ENCODINGS if name != "none"])
    out = decompress(spoiled_bytes(compressed(name), rng), byte_codec(name, None, "image", "raw").encoding, MOST_BYTES)
    assert len(out) <= MOST_BYTES


encoded = cache(sound)


def array_encoding(name: str, rng: Random) -> None:
    """Decode a chunk that no program has encoded: refused, or an array of the right kind."""
    data, layout = encoded(name)
    voxels = array_codec(name, {}).decode(spoiled_bytes(data, rng), layout)
    assert voxels.shape == layout.shape
    assert voxels.dtype == layout.dtype


def local_file(rng: Random) -> None:
    """Read an ``info`` from a folder, under whatever extension."""
    with tempfile.TemporaryDirectory() as folder:
        name = rng.choice(("info", "info.gz", "info.br", "info.zstd", "info.xz", "info.bz2"))
        Path(folder, name).write_bytes(spoiled_json(info_document(), rng))
        read_info(open_store(f"file://{folder}"))


# Those in which only Python and libraries that are not fragile read the bytes, and which take microseconds.
PARSERS: Mapping[str, Target] = {
    "info": info,
    "info on disk": local_file,
    "provenance": provenance,
    "yaml": yaml_text,
    "configuration": configuration,
    "message": message,
    "receipts": receipts,
    "job.json": job_file,
    "job.json, damaged": raw_job_file,
    "lock": lock_file,
    "shard": shard,
    "minishard": minishard,
    "sharded chunk": sharded_chunk,
    "byte encoding": byte_encoding,
}
STURDY = tuple(name for name, codec in ARRAY_CODECS.items() if not codec.traits.fragile)
FRAGILE = tuple(name for name, codec in ARRAY_CODECS.items() if codec.traits.fragile)
