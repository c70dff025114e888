"""Who reads while a job writes."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from chaos.commands import CVBATCH, config_file, cvbatch, until
from volumes import noise, write_volume

from cvbatch.storage import Blob, open_store

SIZE, CHUNK = (128, 128, 64), (32, 32, 16)

# Reads all chunks of a volume over and over, with a store of its own, and prints how often it saw what.
READER = """
import hashlib, json, sys
from collections import Counter
sys.path[:0] = {paths!r}
from cvbatch.storage import open_store
from cvbatch.codecs import decompress
store, seen, torn = open_store(sys.argv[1]), Counter(), Counter()
known = set(json.loads(sys.argv[2]))
keys = sorted(key for key in store.list("4_4_40/"))
print("ready", flush=True)
while not store.exists("stop"):
    for key in keys:
        blob = store.get(key)
        if blob is None:
            torn["absent"] += 1
            continue
        digest = hashlib.sha256(bytes(decompress(blob.data, blob.encoding, 1 << 20))).hexdigest()
        seen[digest in known] += 1
print(json.dumps([seen[True], seen[False], torn["absent"]]), flush=True)
"""


@pytest.mark.parametrize(("before", "after"), [("gzip", "gzip"), ("gzip", "br"), ("none", "gzip")])
def test_a_reader_sees_whole_chunks_while_a_job_rewrites_them(tmp_path, before, after):
    # given a volume whose chunks are written again and again, by jobs from two sources in turn
    url = f"file://{tmp_path}/b"
    known = set()
    for name, seed in (("one", 1), ("two", 2)):
        voxels = noise(SIZE, seed=seed)
        write_volume(f"file://{tmp_path}/{name}", voxels, chunk_size=CHUNK)
        for x in range(0, SIZE[0], CHUNK[0]):
            for y in range(0, SIZE[1], CHUNK[1]):
                for z in range(0, SIZE[2], CHUNK[2]):
                    part = voxels[x : x + CHUNK[0], y : y + CHUNK[1], z : z + CHUNK[2]]
                    known.add(hashlib.sha256(np.asfortranarray(part).tobytes("F")).hexdigest())
    assert cvbatch("run", job(tmp_path, "one", before, 0)).returncode == 0
    script = READER.format(paths=sys.path)
    words = [sys.executable, "-c", script, url, json.dumps(sorted(known))]
    reader = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "ready\n"
        # when jobs rewrite it
        for number, (name, compress) in enumerate([("two", after), ("one", before), ("two", after)], 1):
            done = cvbatch("run", job(tmp_path, name, compress, number))
            assert done.returncode == 0, done.stderr
    finally:
        (tmp_path / "b/stop").touch()
        output, _ = reader.communicate(timeout=60)
    # then each read gave an old chunk or a new one
    whole, torn, absent = json.loads(output)
    assert whole > 128
    assert torn == 0
    assert absent == 0


def job(folder, name: str, compress: str, number: int):
    return config_file(
        folder / f"{number}.yaml",
        job="transfer",
        source=f"file://{folder}/{name}",
        destination={"path": f"file://{folder}/b", "compress": compress},
        workers={"processes": 2},
        state=f"file://{folder}/state{number}",
        # Else it would be the job of another one of these runs.
        background=number,
    )


def test_of_two_jobs_on_overlapping_regions_the_second_waits_for_the_first(tmp_path):
    # given a job on one half, which is frozen as soon as it holds its region
    write_volume(f"file://{tmp_path}/one", noise(SIZE), chunk_size=CHUNK)
    assert cvbatch("run", job(tmp_path, "one", "gzip", 0)).returncode == 0
    half = job(tmp_path, "one", "gzip", 1)
    half.write_text(half.read_text() + "region: {mip: 0, min: [0, 0, 0], max: [64, 128, 64]}\n")
    first = subprocess.Popen([*CVBATCH, "run", str(half), "--quiet"])
    locks = tmp_path / "b/.cvbatch/locks"
    assert until(lambda: list(locks.glob("*.json")))
    first.send_signal(signal.SIGSTOP)
    try:
        # then one that overlaps is refused with status 2, and changes nothing; one beside it is done
        for low, high, status in ((32, 96, 2), (64, 128, 0)):
            other = job(tmp_path, "one", "gzip", 2)
            other.write_text(other.read_text() + f"region: {{mip: 0, min: [{low}, 0, 0], max: [{high}, 128, 64]}}\n")
            done = cvbatch("run", other)
            assert done.returncode == status, done.stderr
            if status:
                assert "has been writing to this region" in done.stderr
        # … unless it is forced
        overlapping = ("run", other, "--set", "region.min=[32,0,0]", "--set", f"state=file://{tmp_path}/forced")
        assert cvbatch(*overlapping).returncode == 2
        assert cvbatch(*overlapping, "--force").returncode == 0
    finally:
        first.send_signal(signal.SIGCONT)
        assert first.wait(60) == 0
    assert cvbatch("run", half).returncode == 0
    assert list(open_store(f"file://{tmp_path}/b").list(".cvbatch/locks/")) == []


def test_a_chunk_whose_extension_changes_is_not_absent_in_between(tmp_path, monkeypatch):
    # given a chunk that is compressed, and a writer that stores it plain just when a reader has found nothing plain
    store, writer = open_store(f"file://{tmp_path}"), open_store(f"file://{tmp_path}")
    store.put("chunk", Blob(b"old", "gzip"))
    opened = os.open

    def slow(path, *more, **options):
        try:
            return opened(path, *more, **options)
        except FileNotFoundError:
            if str(path) == f"{tmp_path}/chunk":
                monkeypatch.setattr(os, "open", opened)
                writer.put("chunk", Blob(b"new"))
            raise

    monkeypatch.setattr(os, "open", slow)
    # then the reader finds it
    assert store.get("chunk") == Blob(b"new")
    assert not (tmp_path / "chunk.gz").exists()
