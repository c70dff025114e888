"""What a plan says beforehand, against what then happened."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import FaultProxy, make_bucket, save_s3_keys
from volumes import files, labels, noise, write_volume

from cvbatch import plan, run
from cvbatch.api.describe import describe
from cvbatch.planner import requests_of

serial = itertools.count()


def fresh() -> str:
    return f"mem://estimates/{next(serial)}"


def tissue(size, seed: int = 0):
    """Smooth shapes with noise on them, and an empty margin, as micrographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, [-(-n // 12) for n in size])
    voxels = np.kron(coarse, np.ones((12, 12, 12)))[: size[0], : size[1], : size[2]] + rng.normal(0, 6, size)
    voxels[: size[0] // 5] = 0
    return np.asfortranarray(np.clip(voxels, 0, 255).astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 60)] * 3),
    source_chunk=st.tuples(*[st.integers(3, 20)] * 3),
    chunk=st.tuples(*[st.integers(3, 20)] * 3),
    offset=st.tuples(*[st.integers(-9, 9)] * 3),
    mips=st.integers(0, 2),
    processes=st.integers(1, 4),
    encoding=st.sampled_from(["raw", "png"]),
)
def test_requests_are_exact(size, source_chunk, chunk, offset, mips, processes, encoding):
    # given any job between volumes with a file a chunk
    source, target = fresh(), fresh()
    write_volume(source, noise(size), chunk_size=source_chunk, voxel_offset=offset)
    possible = max(size[:2]) > 2 ** max(0, mips - 1)
    job = {
        "job": "transfer",
        "source": source,
        "destination": {"path": target, "chunk_size": chunk, "encoding": encoding},
        "downsample": {"mips": mips if possible else 0},
        "workers": {"processes": processes},
    }
    made = plan(job)
    expected = [requests_of(made, each) for each in made.passes]
    # when it has run, with any number of tasks and passes
    counts = run(job).counts
    # then as many chunks were read and written
    assert all(each.exact for each in expected)
    assert counts.chunks_read == sum(each.read for each in expected)
    assert counts.chunks_written == sum(each.written for each in expected)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"destination": {"chunk_size": [48, 32, 24]}, "downsample": {"mips": 2}}, "image"),
        ({"destination": {"encoding": "png"}}, "image"),
        ({"destination": {}}, "image"),
        ({"destination": {"sharding": "auto"}, "downsample": {"mips": 1}}, "labels"),
    ],
)
def test_requests_as_a_server_counts_them(keys, kind, rclone, secrets_folder, tmp_path):
    save_s3_keys(secrets_folder, rclone)
    make_bucket(rclone, bucket := f"counted-{next(serial)}")
    if kind == "labels":
        write_volume(str(tmp_path / "s"), labels((128, 96, 48)), "segmentation")
    else:
        write_volume(str(tmp_path / "s"), tissue((128, 96, 48)))
    with FaultProxy(rclone.url) as proxy:
        place = f"s3://{proxy.url}/{bucket}"
        run({"job": "transfer", "source": str(tmp_path / "s"), "destination": f"{place}/in"})
        job = {
            "job": "transfer",
            "source": f"{place}/in",
            **keys,
            "destination": {"path": f"{place}/out", **keys["destination"]},
            "workers": {"processes": 2},
        }
        said = describe(job)["requests"]
        proxy.log.clear()
        assert run(job).complete
        seen = [(method, target) for method, target, *_ in proxy.log if "_40/" in target]
    methods = {
        "get": [t for m, t in seen if m == "GET"],
        "put": [t for m, t in seen if m == "PUT" and "/in/" not in t],
    }
    copies = said["copy"]
    assert said["exact"]
    assert len(methods["get"]) == said["get"]
    assert len(methods["put"]) == said["put"] + copies
    assert not [m for m, _ in seen if m == "DELETE"]


CASES = {
    "gzip": ("image", {"chunk_size": [64, 64, 32]}),
    "jpeg": ("image", {"encoding": {"name": "jpeg", "quality": 80}}),
    "png": ("image", {"encoding": "png", "chunk_size": [48, 48, 48]}),
    "copy": ("image", {}),
    "labels": ("labels", {"encoding": "compressed_segmentation", "chunk_size": [64, 64, 32]}),
    "crackle": ("labels", {"encoding": "crackle"}),
    "shards": ("labels", {"sharding": "auto"}),
}


@pytest.mark.parametrize("case", CASES)
def test_bytes_are_within_a_quarter(case, tmp_path):
    kind, destination = CASES[case]
    size = (224, 192, 96)
    if kind == "labels":
        write_volume(str(tmp_path / "s"), labels(size), "segmentation", chunk_size=(32, 32, 32))
    else:
        write_volume(str(tmp_path / "s"), tissue(size), chunk_size=(32, 32, 32))
    job = {
        "job": "transfer",
        "source": str(tmp_path / "s"),
        "destination": {"path": str(tmp_path / "out"), **destination},
        "downsample": {"mips": 2},
    }
    before = files(tmp_path)
    said = describe(job)
    assert files(tmp_path) == before, "a plan writes nothing"
    report = run(job)
    assert said["estimate"]["unreadable"] == 0
    assert said["estimate"]["bytes_in"] == pytest.approx(report.counts.bytes_read, rel=0.25)
    assert said["estimate"]["bytes_out"] == pytest.approx(report.counts.bytes_written, rel=0.25)
    stored = {}
    for name, data in files(tmp_path / "out").items():
        folder = name.rpartition("/")[0]
        stored[folder] = stored.get(folder, 0) + len(data)
    # A shard has indices besides.
    if case != "shards":
        assert said["estimate"]["levels"]["4_4_40"] == pytest.approx(stored["4_4_40"], rel=0.25)
    objects = sum(level["objects"] for each in said["passes"] for level in each["levels"])
    assert objects == len([name for name in files(tmp_path / "out") if "/" in name])
    assert json.loads(json.dumps(said)) == said


def test_a_calibration_tells_a_time(tmp_path):
    write_volume(str(tmp_path / "s"), tissue((96, 96, 48)))
    job = {"job": "transfer", "source": str(tmp_path / "s"), "destination": str(tmp_path / "out")}
    assert describe(job)["estimate"]["seconds"] is None
    assert describe(job, calibrate=True)["estimate"]["seconds"] > 0
    assert not (tmp_path / "out").exists()


def test_what_should_be_known_before(tmp_path):
    voxels = tissue((128, 96, 48))
    write_volume(str(tmp_path / "s"), voxels, compress="none", encoding="jpeg", other={"jpeg_quality": 70})
    next((tmp_path / "s" / "4_4_40").iterdir()).unlink()
    job = {
        "job": "transfer",
        "source": str(tmp_path / "s"),
        "destination": {
            "path": str(tmp_path / "out"),
            "encoding": {"name": "jpeg", "quality": 90},
            "align": "expand",
            "chunk_size": [32, 32, 16],
        },
        "region": {"min": [1, 0, 0], "max": [128, 96, 48]},
    }
    found = describe(job)["warnings"]
    assert any("(0, 0, 0)" in each and "destination.align" in each for each in found), found
    assert any("jpeg is lossy" in each and "the source, in jpeg" in each for each in found), found
    assert any("more mips" in each for each in found), found
    assert any("can't be read" in each and "is missing" in each for each in found), found
    copied = {"job": "transfer", "source": str(tmp_path / "s"), "destination": str(tmp_path / "copy")}
    assert not any("lossy" in each for each in describe(copied)["warnings"])


def test_too_many_files_and_too_little_memory(monkeypatch):
    from cvbatch.inspect import advice

    source = fresh()
    write_volume(source, noise((64, 64, 32)), chunk_size=(4, 4, 4))
    made = plan({"job": "transfer", "source": source, "destination": fresh()})
    monkeypatch.setattr(advice, "FILES_IN_A_FOLDER", 1000)
    found = advice.warnings_of(made, made.job.region, 1, 2, None)
    assert any("2,048 files in one folder" in each and "sharding" in each for each in found), found
    assert any("more memory than is free" in each for each in found), found


@pytest.mark.parametrize("case", ["gzip", "copy", "labels", "shards"])
def test_the_memory_of_a_worker(case, tmp_path):
    # The limits are wider than what was measured (0.89 to 1.10 in 17 cases): allocators differ between machines.
    kind, destination = CASES[case]
    size = (256, 256, 128)
    voxels = labels(size) if kind == "labels" else tissue(size)
    write_volume(str(tmp_path / "s"), voxels, "segmentation" if kind == "labels" else "image", chunk_size=(32, 32, 32))
    job = {
        "job": "transfer",
        "source": str(tmp_path / "s"),
        "destination": {"path": str(tmp_path / "out"), **destination},
        "downsample": {"mips": 1} if case != "copy" else {"mips": 0},
        "workers": {"processes": 2},
    }
    said = describe(job)["worker"]["memory_projected_bytes"]
    run(job)
    receipts = [json.loads(path.read_text()) for path in (tmp_path / "out").glob(".cvbatch/*/receipts/*")]
    assert 0.75 < said / max(receipt["peak_memory_bytes"] for receipt in receipts) < 1.33
