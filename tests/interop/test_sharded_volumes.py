"""Sharded volumes: what we write tensorstore and cloud-volume read, and the other way round; jobs in all directions."""

import itertools
import warnings

import numpy as np
import pytest
import tensorstore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from volumes import labels, noise, read_volume

from cvbatch import Bbox, CloudVolume, Vec, plan, run
from cvbatch.errors import AlignmentError, DecodingError
from cvbatch.planner import check_plan

with warnings.catch_warnings():
    # Its dependencies warn about themselves.
    warnings.simplefilter("ignore")
    import cloudvolume

TYPE = "neuroglancer_uint64_sharded_v1"
serial = itertools.count()


def specs():
    return st.fixed_dictionaries(
        {
            "@type": st.just(TYPE),
            "preshift_bits": st.integers(0, 4),
            "minishard_bits": st.integers(0, 3),
            "shard_bits": st.integers(0, 12),
            "hash": st.sampled_from(["identity", "murmurhash3_x86_128"]),
            "minishard_index_encoding": st.sampled_from(["raw", "gzip"]),
            "data_encoding": st.sampled_from(["raw", "gzip"]),
        }
    )


@st.composite
def volumes(draw):
    """Voxels, and an ``info`` for them with any specification."""
    size = tuple(draw(st.integers(1, 50)) for _ in range(3))
    labelled = draw(st.booleans())
    voxels = labels(size, "uint64", 1) if labelled else noise(size, "uint8")
    encoding = draw(st.sampled_from(["raw", "compressed_segmentation"] if labelled else ["raw", "png"]))
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation" if labelled else "image",
        data_type=voxels.dtype.name,
        encoding=encoding,
        resolution=(4, 4, 40),
        voxel_offset=tuple(draw(st.integers(-30, 30)) for _ in range(3)),
        chunk_size=tuple(draw(st.integers(4, 20)) for _ in range(3)),
        volume_size=size,
    )
    info["scales"][0]["sharding"] = draw(specs())
    return voxels, info


def opened_by_tensorstore(path):
    spec = {"driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": f"{path}/"}}
    return tensorstore.open(spec).result()


@given(volumes())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_with_tensorstore_and_from_us_to_cloudvolume(tmp_path, made):
    voxels, info = made
    path = tmp_path / str(next(serial))
    vol = CloudVolume(str(path), info=info)
    vol.commit_info()
    # given what we write
    vol[:] = voxels
    # then all of us read the same
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    theirs = opened_by_tensorstore(path)
    np.testing.assert_array_equal(np.asarray(theirs[...])[..., 0], voxels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        also_theirs = cloudvolume.CloudVolume(f"file://{path}", progress=False)[:]
    np.testing.assert_array_equal(np.asarray(also_theirs)[..., 0], voxels)
    # and what tensorstore writes we read
    changed = voxels[::-1].copy()
    theirs[...] = changed[..., np.newaxis]
    np.testing.assert_array_equal(CloudVolume(str(path))[:][..., 0], changed)


@pytest.mark.parametrize("hashed", ["identity", "murmurhash3_x86_128"])
def test_what_cloudvolume_writes_we_read(tmp_path, hashed):
    voxels = labels((64, 64, 32), "uint32")
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint32", "raw", (4, 4, 40), (0, 0, 0), (64, 64, 32), chunk_size=(16, 16, 16)
    )
    info["scales"][0]["sharding"] = {
        "@type": TYPE, "preshift_bits": 2, "minishard_bits": 3, "shard_bits": 0, "hash": hashed,
        "minishard_index_encoding": "gzip", "data_encoding": "gzip",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cloudvolume.CloudVolume(f"file://{tmp_path}", info=info, progress=False)
        theirs.commit_info()
        theirs[:] = voxels
    np.testing.assert_array_equal(CloudVolume(str(tmp_path))[:][..., 0], voxels)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_part_can_be_written(data):
    # given a sharded volume, some of it empty, and any box
    voxels = noise((40, 30, 20), "uint8")
    voxels[:20] = 0
    info = CloudVolume.create_new_info(
        1, "image", "uint8", "raw", (4, 4, 40), (3, -4, 5), (40, 30, 20), chunk_size=(8, 8, 8)
    )
    info["scales"][0]["sharding"] = data.draw(specs())
    vol = CloudVolume(f"mem://sharded/{next(serial)}", info=info, non_aligned_writes=True, fill_missing=True)
    vol.delete_black_uploads = data.draw(st.booleans())
    vol.commit_info()
    vol[:] = voxels
    low = [data.draw(st.integers(0, size - 1)) for size in voxels.shape]
    high = [data.draw(st.integers(a + 1, size)) for a, size in zip(low, voxels.shape, strict=True)]
    # when the box is written
    vol[Bbox(low, high) + vol.voxel_offset] = 9
    # then it alone has changed
    voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 9
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


SPEC = {"@type": TYPE, "preshift_bits": 1, "minishard_bits": 1, "shard_bits": 12, "data_encoding": "gzip"}
DIRECTIONS = list(itertools.product(["none", "auto", SPEC], repeat=2))


@pytest.mark.parametrize(("first", "second"), DIRECTIONS)
@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_in_all_directions_with_mips(tmp_path, first, second, processes):
    # given a plain segmentation
    voxels = labels((96, 80, 40), "uint64")
    source = CloudVolume.from_numpy(voxels, vol_path=str(tmp_path / "source"), chunk_size=(16, 16, 16))
    # when it goes to one layout, and from there to another one with another encoding, chunk size and offset
    downsample = {"mips": 2, "factor": [2, 2, 1]}
    workers = {"processes": processes}
    one, two = f"file://{tmp_path}/one", f"file://{tmp_path}/two"
    run(
        {
            "job": "transfer",
            "source": source.cloudpath,
            "destination": {"path": one, "sharding": first},
            "downsample": downsample,
            "workers": workers,
        }
    )
    config = {
        "job": "transfer",
        "source": one,
        "destination": {
            "path": two,
            "sharding": second,
            "chunk_size": [32, 16, 8],
            "encoding": "compressed_segmentation",
        },
        "translate": [7, -9, 11],
        "downsample": downsample,
        "workers": workers,
    }
    check_plan(plan(config))
    report = run(config)
    # then every voxel of every mip is there
    assert report.tasks.failed == 0
    np.testing.assert_array_equal(read_volume(two)[..., 0], voxels)
    assert CloudVolume(two).voxel_offset == Vec(7, -9, 11)
    reference = f"mem://sharded/{next(serial)}"
    run(
        {
            "job": "transfer",
            "source": source.cloudpath,
            "destination": "mem://sharded/copy",
            "workers": {"processes": 1},
        }
    )
    run({"job": "transfer", "source": "mem://sharded/copy", "destination": reference, "downsample": downsample})
    for mip in (1, 2):
        np.testing.assert_array_equal(read_volume(two, mip), read_volume(reference, mip))
        np.testing.assert_array_equal(read_volume(one, mip), read_volume(reference, mip))


def test_chunks_that_do_not_change_are_not_decoded(tmp_path):
    voxels = labels((64, 64, 32), "uint64")
    source = CloudVolume.from_numpy(voxels, vol_path=str(tmp_path / "source"), chunk_size=(16, 16, 16))
    config = {
        "job": "transfer",
        "source": source.cloudpath,
        "destination": {"path": str(tmp_path / "s"), "sharding": SPEC},
    }
    assert plan(config).job.levels[0].scale.sharding is not None
    report = run(config)
    assert (report.counts.chunks_copied, report.counts.stages["decode"]) == (32, 0.0)
    back = run(
        {
            "job": "transfer",
            "source": str(tmp_path / "s"),
            "destination": {"path": str(tmp_path / "p"), "sharding": "none"},
        }
    )
    assert back.counts.chunks_copied == 32
    for path in (tmp_path / "source" / "4_4_40").iterdir():
        assert path.read_bytes() == (tmp_path / "p" / "4_4_40" / path.name).read_bytes()


def test_the_same_job_twice_gives_the_same_bytes(tmp_path):
    voxels = labels((64, 64, 32), "uint64")
    source = CloudVolume.from_numpy(voxels, vol_path=str(tmp_path / "source"), chunk_size=(16, 16, 16))
    for name, processes in (("a", 1), ("b", 3)):
        run(
            {
                "job": "transfer",
                "source": source.cloudpath,
                "destination": {"path": str(tmp_path / name), "sharding": SPEC, "encoding": "crackle"},
                "workers": {"processes": processes},
            }
        )
    names = sorted(path.name for path in (tmp_path / "a" / "4_4_40").iterdir())
    assert len(names) > 1
    for name in names:
        assert (tmp_path / "a" / "4_4_40" / name).read_bytes() == (tmp_path / "b" / "4_4_40" / name).read_bytes()


def test_empty_shards_are_not_written(tmp_path):
    voxels = np.zeros((64, 64, 32), np.uint8)
    voxels[:16] = 7
    source = CloudVolume.from_numpy(voxels, vol_path=str(tmp_path / "source"), chunk_size=(16, 16, 16))
    config = {
        "job": "transfer",
        "source": source.cloudpath,
        "delete_background": True,
        "destination": {"path": str(tmp_path / "s"), "sharding": {**SPEC, "minishard_bits": 0, "preshift_bits": 0}},
    }
    run(config)
    assert len(list((tmp_path / "s" / "4_4_40").iterdir())) == 8
    assert read_volume(f"file://{tmp_path}/s", missing="fill").sum() == voxels.sum()


@pytest.fixture
def vol(tmp_path):
    """A volume of 4 × 4 × 2 chunks in shards of 2 × 2 × 1."""
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint32", "raw", (4, 4, 40), (0, 0, 0), (64, 64, 32), chunk_size=(16, 16, 16)
    )
    info["scales"][0]["sharding"] = {**SPEC, "data_encoding": "raw"}
    vol = CloudVolume(str(tmp_path / "v"), info=info)
    vol.commit_info()
    vol[:] = labels((64, 64, 32), "uint32")
    return vol


def test_what_programs_ask_about_shards(vol, tmp_path):
    assert vol.image.is_sharded()
    assert vol.image.shard_shape() == Vec(32, 32, 16)
    box = Bbox((32, 0, 0), (64, 32, 16))
    name = vol.image.shard_filename(box)
    positions, codes = vol.image.morton_codes(box)
    assert positions == [Vec(2, 0, 0), Vec(3, 0, 0), Vec(2, 1, 0), Vec(3, 1, 0)]
    made, data = vol.image.make_shard(vol[box], box)
    assert made == name
    assert data == (tmp_path / "v" / "4_4_40" / name).read_bytes()
    files = vol.download_files(box)
    by_code = dict(zip(codes.tolist(), files.values(), strict=True))
    assert vol.image.make_shard(by_code, box) == (name, data)
    with pytest.raises(AlignmentError, match="several shards"):
        vol.image.shard_filename(vol.bounds)
    with pytest.raises(AlignmentError, match="whole chunks"):
        vol.image.morton_codes(Bbox((32, 0, 0), (64, 32, 15)))
    assert len(vol.image.morton_codes(vol.bounds, same_shard=False)[0]) == 32


def test_only_whole_shards_are_written_and_deleted(vol):
    part = Bbox((0, 0, 0), (16, 16, 16))
    with pytest.raises(AlignmentError, match=r"whole shards of \(32, 32, 16\).*\(0, 0, 0\)–\(32, 32, 16\)"):
        vol[part] = 5
    with pytest.raises(AlignmentError, match="whole shards"):
        vol.delete(part)
    vol.delete(Bbox((0, 0, 0), (32, 32, 16)))
    assert not any(vol.exists(Bbox((0, 0, 0), (32, 32, 16))).values())
    assert all(vol.exists(Bbox((32, 0, 0), (64, 32, 16))).values())


def test_transfers_between_layouts(vol, tmp_path):
    whole = vol[:]
    plain = vol.transfer_to(str(tmp_path / "plain"), vol.bounds, sharded=False)
    assert not plain.image.is_sharded()
    again = plain.transfer_to(str(tmp_path / "again"), plain.bounds, sharded=True)
    assert again.image.is_sharded()
    same = vol.transfer_to(str(tmp_path / "same"), vol.bounds)
    assert same.scale["sharding"] == vol.scale["sharding"]
    for copy in (plain, again, same):
        np.testing.assert_array_equal(copy[:], whole)
    with pytest.raises(AlignmentError, match="whole shards"):
        vol.transfer_to(str(tmp_path / "part"), Bbox((0, 0, 0), (16, 16, 16)))


def test_describing_shards(vol):
    vol.image.to_unsharded()
    assert "sharding" not in vol.scale
    with pytest.raises(ValueError, match="is not sharded"):
        vol.image.shard_shape()
    vol.image.to_sharded(uncompressed_shard_bytesize=2 * 16**3 * 4, data_encoding="raw")
    assert vol.image.shard_shape() == Vec(32, 16, 16)


@pytest.mark.parametrize("parallel", [1, 2])
def test_processes_and_damage(vol, tmp_path, parallel):
    vol.parallel = parallel
    whole = vol[:]
    vol[:] = np.asarray(whole) + np.uint32(1)
    np.testing.assert_array_equal(vol[:], np.asarray(whole) + np.uint32(1))
    path = tmp_path / "v" / "4_4_40" / vol.image.shard_filename(Bbox((32, 0, 0), (64, 32, 16)))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DecodingError, match=rf"{path.name}, chunk 32-48_0-16_0-16, is damaged: .*cut short"):
        vol[:]
