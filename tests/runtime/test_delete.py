"""Jobs that delete: what is gone afterwards, and what isn't."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import make_bucket, save_s3_keys
from volumes import files, labels, noise, read_volume, write_volume

from cvbatch import plan, run
from cvbatch.api.verify import verify
from cvbatch.errors import ConfigError
from cvbatch.formats.precomputed import open_chunks, read_info
from cvbatch.geometry import Bbox
from cvbatch.planner import check_plan
from cvbatch.storage import open_store

serial = itertools.count()


def fresh() -> str:
    return f"mem://delete/{next(serial)}"


def pyramid(target: str, source: str | None = None, mips: int = 2, **keys) -> dict:
    """A job that makes a volume with coarser levels, done."""
    source = source or fresh()
    if read_info(open_store(source)) is None:
        write_volume(source, noise((64, 48, 16)))
    destination = {"path": target, **keys}
    job = {"job": "transfer", "source": source, "destination": destination, "downsample": {"mips": mips}}
    assert run(job).complete
    return job


def chunks_there(url: str) -> dict[str, set[tuple[int, ...]]]:
    """Which chunks of each scale are there, by the boxes in their names."""
    store = open_store(url)
    info = read_info(store)
    return {
        scale.key: {tuple(grid.box(index).to_list()) for index in grid.indices(scale.bounds) if chunks.exists(index)}
        for scale in info.scales
        for chunks in [open_chunks(store, scale)]
        for grid in [chunks.grid]
    }


@pytest.mark.parametrize("mips", [[0], [1], [2], [1, 2], [0, 2], [2, 0, 1]])
def test_the_mips_that_are_named_and_no_others(mips):
    target = fresh()
    pyramid(target)
    before = chunks_there(target)
    report = run({"job": "delete", "source": target, "mips": mips})
    assert report.complete
    after = chunks_there(target)
    for mip, key in enumerate(before):
        assert after[key] == (set() if mip in mips else before[key])
    assert report.counts.chunks_deleted == sum(len(before[key]) for mip, key in enumerate(before) if mip in mips)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(*[st.integers(5, 60)] * 3),
    chunk=st.tuples(*[st.integers(4, 16)] * 3),
    offset=st.tuples(*[st.integers(-20, 20)] * 3),
    low=st.tuples(*[st.integers(0, 3)] * 3),
    high=st.tuples(*[st.integers(1, 4)] * 3),
    mips=st.sampled_from([[0], [0, 1], [1]]),
)
def test_never_outside_of_the_region(size, chunk, offset, low, high, mips):
    source, target = fresh(), fresh()
    write_volume(source, noise(size), chunk_size=chunk, voxel_offset=offset)
    run({
        "job": "transfer", "source": source, "destination": {"path": target, "chunk_size": chunk},
        "downsample": {"mips": 1},
    })  # fmt: skip
    info = read_info(open_store(target))
    scale = info.scales[0]
    # given a region of whole chunks of both levels, in voxels of the first
    unit = np.array(chunk) * (2, 2, 1)
    start = np.minimum(np.array(low) * unit, np.array(scale.size)) + np.array(offset)
    stop = np.minimum(np.maximum(low, high) * unit, np.array(scale.size)) + np.array(offset)
    if np.any(start >= stop):
        return
    before = chunks_there(target)
    job = {
        "job": "delete",
        "source": target,
        "mips": mips,
        "region": {"min": start.tolist(), "max": stop.tolist(), "mip": 0},
    }
    check_plan(plan(job))
    assert run(job).complete
    after = chunks_there(target)
    for mip, found in enumerate(info.scales):
        factor = np.array((2, 2, 1)) ** mip
        inside = Bbox((start - offset) // factor, -(-(stop - offset) // factor)) + found.voxel_offset
        gone = {box for box in before[found.key] if inside.contains_bbox(Bbox.from_list(box))}
        assert after[found.key] == before[found.key] - (gone if mip in mips else set())


def test_a_region_that_is_not_on_the_grid_is_refused():
    target = fresh()
    pyramid(target)
    before = chunks_there(target)
    region = {"min": [16, 0, 0], "max": [64, 48, 16]}
    assert plan({"job": "delete", "source": target, "mips": [0], "region": region})
    with pytest.raises(ConfigError, match="larger"):
        plan({"job": "delete", "source": target, "mips": [0, 1], "region": region})
    assert chunks_there(target) == before


def test_a_part_of_a_shard_is_refused_and_whole_ones_go(tmp_path):
    write_volume(str(tmp_path / "s"), labels((64, 64, 32)), "segmentation")
    spec = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 3,
        "minishard_bits": 0,
        "shard_bits": 3,
        "hash": "identity",
        "minishard_index_encoding": "gzip",
        "data_encoding": "gzip",
    }
    target = f"file://{tmp_path}/out"
    run({"job": "transfer", "source": str(tmp_path / "s"), "destination": {"path": target, "sharding": spec}})
    before = files(tmp_path / "out")
    part = {"min": [0, 0, 0], "max": [16, 16, 8]}
    with pytest.raises(ConfigError, match="not on the destination's grid"):
        run({"job": "delete", "source": target, "mips": [0], "region": part})
    assert files(tmp_path / "out") == before
    whole = {"min": [0, 0, 0], "max": [32, 32, 16]}
    run({"job": "delete", "source": target, "mips": [0], "region": whole})
    after = files(tmp_path / "out")
    assert set(before) - set(after) == {"4_4_40/0.shard"}
    assert {name: after[name] for name in after if name != "provenance"} == {
        name: before[name] for name in after if name != "provenance"
    }


@pytest.mark.parametrize("sharding", ["none", "auto"])
def test_only_chunks_that_are_all_background(tmp_path, sharding):
    voxels = noise((64, 48, 16))
    voxels[:32] = 0
    voxels[3, 3, 3] = 7
    write_volume(str(tmp_path / "s"), voxels)
    target = f"file://{tmp_path}/out"
    run({"job": "transfer", "source": str(tmp_path / "s"), "destination": {"path": target, "sharding": sharding}})
    report = run({"job": "delete", "source": target, "mips": [0], "delete_background": True})
    assert report.counts.chunks_deleted == 2 * 3 * 2 - 1
    np.testing.assert_array_equal(read_volume(target, missing="fill")[..., 0], voxels)
    assert len(chunks_there(target)["4_4_40"]) == 4 * 3 * 2 - 11


def test_what_was_deleted_can_be_made_again(tmp_path):
    write_volume(str(tmp_path / "s"), noise((64, 48, 16)))
    made = pyramid(f"file://{tmp_path}/out", str(tmp_path / "s"))
    before = {name: data for name, data in files(tmp_path / "out").items() if name != "provenance"}
    delete = {
        "job": "delete",
        "source": f"file://{tmp_path}/out",
        "mips": [1],
        "region": {"min": [0, 0, 0], "max": [64, 48, 8], "mip": 0},
    }
    assert run(delete).counts.chunks_deleted == 2 * 2
    assert not verify(made).right
    again = run(made)
    assert again.complete
    assert again.counts.chunks_written > 0
    assert {name: data for name, data in files(tmp_path / "out").items() if name != "provenance"} == before
    # And deleted again: that it was done once doesn't count.
    assert run(delete).counts.chunks_deleted == 2 * 2
    assert not verify(made).right


def test_a_deletion_is_signed(tmp_path):
    write_volume(str(tmp_path / "s"), noise((64, 48, 16)))
    run({"job": "delete", "source": str(tmp_path / "s"), "mips": [0]})
    provenance = json.loads((tmp_path / "s" / "provenance").read_text())
    assert provenance["processing"][-1]["method"]["task"] == "cvbatch delete"
    assert files(tmp_path / "s").keys() == {"info", "provenance"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "mips: is missing: which levels"),
        ({"mips": [7]}, "no mip 7; there are 0"),
        ({"mips": [0], "destination": "mem://x"}, "a delete job works on its source"),
        ({"mips": [0], "translate": [1, 0, 0]}, "only a transfer can translate"),
        ({"mips": [0], "downsample": {"mips": 1}}, "makes nothing"),
        ({"job": "downsample", "mips": [0], "downsample": {"mips": 1}}, "says what a delete job deletes"),
    ],
)
def test_what_makes_no_sense_is_told(keys, message):
    target = fresh()
    write_volume(target, noise((64, 48, 16)))
    with pytest.raises(ConfigError, match=message):
        plan({"job": "delete", "source": target, **keys})


def test_mips_that_do_not_follow_from_each_other():
    target = fresh()
    write_volume(target, noise((64, 48, 16)))
    from dataclasses import replace

    from cvbatch.formats.precomputed import write_info

    info = read_info(open_store(target))
    odd = replace(info.scales[0], key="odd", resolution=(6, 6, 40), size=info.scales[0].size // (2, 2, 1))
    write_info(open_store(target), replace(info, scales=(*info.scales, odd)))
    with pytest.raises(ConfigError, match="delete them in a job each"):
        plan({"job": "delete", "source": target, "mips": [0, 1]})
    assert plan({"job": "delete", "source": target, "mips": [1]})


def command(*arguments) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "cvbatch.cli.main", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def test_nobody_deletes_without_saying_yes(tmp_path):
    write_volume(str(tmp_path / "s"), noise((64, 48, 16)))
    before = files(tmp_path / "s")
    config = tmp_path / "delete.yaml"
    config.write_text(yaml.safe_dump({"job": "delete", "source": str(tmp_path / "s"), "mips": [0]}))
    for word in ("run", "resume", "enqueue"):
        refused = command(word, config)
        assert refused.returncode == 2, refused.stderr
        assert "deletes up to 24 chunks of 4_4_40" in refused.stderr
        assert "--yes" in refused.stderr
    assert "delete" in command("plan", config).stdout
    assert files(tmp_path / "s") == before
    done = command("run", config, "--yes")
    assert done.returncode == 0, done.stderr
    assert "24 deleted" in done.stdout


def test_in_a_bucket(moto, secrets_folder):
    save_s3_keys(secrets_folder, moto)
    make_bucket(moto, "to-delete")
    place = f"s3://{moto.url}/to-delete"
    write_volume(f"{place}/s", noise((64, 48, 16)))
    pyramid(f"{place}/out", f"{place}/s", mips=1)
    run({"job": "delete", "source": f"{place}/out", "mips": [0]})
    there = chunks_there(f"{place}/out")
    assert there["4_4_40"] == set()
    assert len(there["8_8_40"]) == 2 * 2 * 2
    assert len(chunks_there(f"{place}/s")["4_4_40"]) == 24
