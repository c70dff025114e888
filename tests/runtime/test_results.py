"""What a job leaves behind, against arrays computed in the test."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from volumes import files, labels, noise, read_scale, read_volume, write_volume

from cvbatch import run
from cvbatch.geometry import Bbox, Vec
from cvbatch.ops import downsample, kernel_for
from cvbatch.storage import open_store

serial = itertools.count()


def fresh() -> str:
    """A name in mem:// that no other test uses."""
    return f"mem://results/{next(serial)}"


def transfer(source: str, destination: str | dict, **keys) -> dict:
    return {"job": "transfer", "source": source, "destination": destination, **keys}


def pyramid(voxels, factor, mips, method, sparse=False):
    """The voxels of all levels, made from the whole volume at once."""
    levels = [voxels]
    for _ in range(mips):
        levels.append(downsample(levels[-1], Vec(*factor), kernel_for(method, sparse)))
    return levels


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 40)] * 3),
    source_chunk=st.tuples(*[st.integers(3, 17)] * 3),
    chunk=st.tuples(*[st.integers(3, 17)] * 3),
    offset=st.tuples(*[st.integers(-30, 30)] * 3),
    translate=st.tuples(*[st.integers(-30, 30)] * 3),
    mips=st.integers(0, 2),
    factor=st.sampled_from([(2, 2, 1), (2, 2, 2), (3, 1, 2)]),
    kind=st.sampled_from(
        [("image", "uint8", "average"), ("image", "float32", "average"), ("segmentation", "uint64", "mode")]
    ),
    channels=st.integers(1, 2),
    threads=st.integers(1, 3),
)
def test_any_transfer_equals_arrays(
    size, source_chunk, chunk, offset, translate, mips, factor, kind, channels, threads
):
    layer_type, dtype, method = kind
    voxels = noise((*size, channels), dtype)
    source, target = fresh(), fresh()
    write_volume(source, voxels, layer_type, chunk_size=source_chunk, voxel_offset=offset)
    possible = [f for f, n in zip(factor, size, strict=True) if f > 1 and n > f ** max(0, mips - 1)]
    mips = mips if possible else 0
    report = run(
        transfer(
            source,
            {"path": target, "chunk_size": chunk},
            translate=translate,
            downsample={"mips": mips, "factor": factor},
            workers={"threads": threads},
        )
    )
    assert report.complete
    for mip, expected in enumerate(pyramid(voxels, factor, mips, method)):
        np.testing.assert_array_equal(read_volume(target, mip), expected)
    assert read_scale(target).voxel_offset == Vec(*offset) + translate


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(*[st.integers(8, 40)] * 3),
    chunk=st.tuples(*[st.sampled_from([5, 6, 8, 12, 16])] * 3),
    offset=st.tuples(*[st.integers(-30, 30)] * 3),
    mips=st.integers(1, 3),
    factor=st.sampled_from([(2, 2, 1), (2, 2, 2), (3, 1, 2)]),
    method=st.sampled_from(["average", "mode", "min", "stride"]),
    sparse=st.booleans(),
    threads=st.integers(1, 3),
    lost=st.booleans(),
)
def test_any_downsampling_in_place_equals_arrays(size, chunk, offset, mips, factor, method, sparse, threads, lost):
    # given a volume whose chunks are whole cells, or not, and of which the first chunk may be missing
    assume(all(n > f**mips for f, n in zip(factor, size, strict=True)))
    voxels = noise((*size, 1)) % 3
    source = fresh()
    store = write_volume(source, voxels, chunk_size=chunk, voxel_offset=offset)
    if lost:
        first = Bbox(offset, Vec(*offset) + Vec(*chunk).minimum(size))
        store.delete(f"4_4_40/{first.to_filename()}")
        voxels[: chunk[0], : chunk[1], : chunk[2]] = 2
    # when it is downsampled
    sparse = sparse and method in ("average", "mode")
    config = {
        "job": "downsample",
        "source": {"path": source, "missing": "fill"},
        "background": 2,
        "downsample": {"mips": mips, "factor": factor, "method": method, "sparse": sparse},
        "workers": {"threads": threads},
    }
    report = run(config)
    # then the levels are those of the whole volume
    assert report.complete
    expected = voxels
    for mip in range(1, mips + 1):
        expected = downsample(expected, Vec(*factor), kernel_for(method, sparse), 2)
        np.testing.assert_array_equal(read_volume(source, mip), expected)


@pytest.mark.parametrize("way", ["copy", "recode", "build"])
def test_all_ways_lead_to_the_same_voxels(way):
    # given the same voxels on their way through copying, recoding and building
    voxels = noise((50, 41, 19))
    source, target = fresh(), fresh()
    write_volume(source, voxels)
    destination = {"copy": {}, "recode": {"encoding": "png"}, "build": {"chunk_size": [25, 8, 8]}}[way]
    report = run(transfer(source, {"path": target, **destination}))
    np.testing.assert_array_equal(read_volume(target)[..., 0], voxels)
    assert report.counts.chunks_copied == (report.counts.chunks_written if way == "copy" else 0)


def test_copied_chunks_are_the_same_bytes_and_still_make_mips(tmp_path):
    # given a source with chunks that no encoder here would write
    voxels = noise((64, 64, 8))
    write_volume(f"file://{tmp_path}/a", voxels, compress="br")
    # when it is copied, and mips are made of it
    run(transfer(f"file://{tmp_path}/a", f"file://{tmp_path}/b", downsample={"mips": 2}))
    # then the chunks went through as they were
    before, after = files(tmp_path / "a"), files(tmp_path / "b")
    assert {name: data for name, data in after.items() if name.startswith("4_4_40/")} == {
        name: data for name, data in before.items() if name != "info"
    }
    for mip, expected in enumerate(pyramid(voxels[..., None], (2, 2, 1), 2, "average")):
        np.testing.assert_array_equal(read_volume(f"file://{tmp_path}/b", mip), expected)


@pytest.mark.parametrize(
    ("compress", "level", "copied"),
    [(None, None, True), ("gzip", None, True), ("gzip", 9, False), ("zstd", None, False)],
)
def test_compression_is_changed_where_it_was_asked_for(compress, level, copied):
    voxels = noise((32, 32, 8))
    source, target = fresh(), fresh()
    write_volume(source, voxels)
    destination = {"path": target}
    destination |= {"compress": compress} if compress else {}
    destination |= {"compress_level": level} if level else {}
    report = run(transfer(source, destination))
    assert (report.counts.chunks_copied > 0) == copied
    assert open_store(target).get("4_4_40/0-16_0-16_0-8").encoding == (compress or "gzip")
    np.testing.assert_array_equal(read_volume(target)[..., 0], voxels)


SAMPLES = {"image": noise((40, 33, 20)), "labels": labels((40, 33, 20)), "floats": noise((40, 33, 20), "float32")}
ENCODINGS = {
    "image": ["raw", "png", {"name": "jxl", "quality": 100}],
    "labels": ["raw", "compressed_segmentation", "compresso", "crackle"],
    "floats": ["raw", "fpzip", "zfpc"],
}
PAIRS = [(kind, a, b) for kind, names in ENCODINGS.items() for a, b in itertools.permutations(names, 2)]


@pytest.mark.parametrize(("kind", "first", "second"), PAIRS, ids=str)
def test_each_lossless_encoding_becomes_each_other(kind, first, second):
    # given voxels on their way through one encoding and then another, on other grids
    layer_type = "segmentation" if kind == "labels" else "image"
    source, middle, target = fresh(), fresh(), fresh()
    write_volume(source, SAMPLES[kind], layer_type)
    run(transfer(source, {"path": middle, "encoding": first, "chunk_size": [20, 20, 20]}))
    run(transfer(middle, {"path": target, "encoding": second, "chunk_size": [16, 16, 8]}))
    np.testing.assert_array_equal(read_volume(target)[..., 0], SAMPLES[kind])


@pytest.mark.parametrize(("kind", "encoding"), [("image", "jpeg"), ("image", "jxl"), ("floats", "kempressed")])
def test_lossy_encodings_go_there_and_back(kind, encoding):
    source, middle, target = fresh(), fresh(), fresh()
    write_volume(source, SAMPLES[kind])
    run(transfer(source, {"path": middle, "encoding": encoding, "chunk_size": [20, 20, 20]}))
    run(transfer(middle, {"path": target, "encoding": "raw"}))
    off = np.abs(read_volume(target)[..., 0].astype(float) - SAMPLES[kind])
    assert off.mean() < 25 if kind == "image" else off.max() < 1e-6


@pytest.mark.parametrize("compress", ["gzip", "br", "zstd", "xz", "bz2", "none"])
def test_each_compression_goes_there_and_back(compress):
    source, middle, target = fresh(), fresh(), fresh()
    write_volume(source, SAMPLES["labels"], "segmentation")
    run(transfer(source, {"path": middle, "compress": compress}))
    run(transfer(middle, {"path": target, "chunk_size": [40, 33, 4]}))
    np.testing.assert_array_equal(read_volume(target)[..., 0], SAMPLES["labels"])


def test_missing_chunks_are_errors_that_name_them_and_the_rest_is_done():
    source, target = fresh(), fresh()
    voxels = noise((32, 32, 16))
    store = write_volume(source, voxels)
    store.delete("4_4_40/16-32_0-16_0-8")
    report = run(transfer(source, target))
    assert not report.complete
    assert report.tasks.failed == 1
    assert "4_4_40/16-32_0-16_0-8 is missing" in report.failures[0].error
    np.testing.assert_array_equal(read_volume(target, missing="fill")[:16, :, :, 0], voxels[:16])


@pytest.mark.parametrize("destination", [{}, {"encoding": "png"}, {"chunk_size": [32, 32, 16]}])
def test_missing_chunks_are_filled_only_when_asked_and_counted(destination):
    source, target = fresh(), fresh()
    voxels = noise((32, 32, 16))
    store = write_volume(source, voxels)
    store.delete("4_4_40/16-32_0-16_0-8")
    report = run(transfer({"path": source, "missing": "fill"}, {"path": target, **destination}, background=7))
    assert report.complete
    assert report.counts.chunks_filled == 1
    expected = voxels.copy()
    expected[16:32, 0:16, 0:8] = 7
    np.testing.assert_array_equal(read_volume(target)[..., 0], expected)


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "has no bytes"), (b"\x1f\x8bgarbage", "damaged"), (b"\0" * 100, "damaged")]
)
@pytest.mark.parametrize("destination", [{}, {"chunk_size": [32, 32, 16]}])
def test_damaged_chunks_are_errors_that_name_them(tmp_path, data, message, destination):
    write_volume(f"file://{tmp_path}/a", noise((32, 32, 16)))
    (tmp_path / "a/4_4_40/16-32_0-16_0-8.gz").write_bytes(data)
    report = run(transfer(f"file://{tmp_path}/a", {"path": f"file://{tmp_path}/b", **destination}))
    assert [failure.task for failure in report.failures]
    assert "4_4_40/16-32_0-16_0-8" in report.failures[0].error
    assert message in report.failures[0].error
    assert report.retries == 0


def test_background_is_deleted_and_later_passes_know():
    # given a volume that is half background, cut into passes of one level each
    voxels = noise((64, 64, 16))
    voxels[:32] = 0
    source, target = fresh(), fresh()
    write_volume(source, voxels)
    report = run(
        transfer(
            source,
            {"path": target, "chunk_size": [16, 16, 16]},
            delete_background=True,
            downsample={"mips": 2},
            workers={"processes": 30},
        )
    )
    # then nothing is missing, nothing is filled, and no chunk of background is there
    assert report.complete
    assert report.counts.chunks_filled == 0
    assert report.counts.chunks_deleted > 0
    assert not open_store(target).exists("4_4_40/0-16_0-16_0-16")
    for mip, expected in enumerate(pyramid(voxels[..., None], (2, 2, 1), 2, "average")):
        np.testing.assert_array_equal(read_volume(target, mip, missing="fill"), expected)


def test_tasks_that_would_read_what_is_not_made_are_skipped():
    # given a damaged chunk, and more than one pass
    source, target = fresh(), fresh()
    store = write_volume(source, noise((128, 128, 16)))
    store.delete("4_4_40/0-16_0-16_0-8")
    config = transfer(
        source, {"path": target, "chunk_size": [16, 16, 16]}, downsample={"mips": 3}, workers={"processes": 30}
    )
    report = run(config)
    assert report.tasks.failed == 1
    assert report.tasks.skipped >= 1
    assert report.tasks.done + report.tasks.failed + report.tasks.skipped == report.tasks.total
    # when the chunk is back, then only what is not done is done
    voxels = noise((128, 128, 16))
    write_volume(source, voxels)
    again = run(config)
    assert again.complete
    assert again.tasks.done_before == report.tasks.done
    for mip, expected in enumerate(pyramid(voxels[..., None], (2, 2, 1), 3, "average")):
        np.testing.assert_array_equal(read_volume(target, mip), expected)


@pytest.mark.parametrize("method", ["average", "mode", "min", "max", "stride"])
def test_mips_do_not_depend_on_how_the_work_was_cut(method):
    voxels = noise((70, 45, 20))
    source = fresh()
    write_volume(source, voxels)
    for processes in (1, 4, 50):
        target = fresh()
        run(
            transfer(
                source,
                {"path": target, "chunk_size": [8, 8, 4]},
                downsample={"mips": 3, "factor": [2, 2, 2], "method": method},
                workers={"processes": processes},
            )
        )
        for mip, expected in enumerate(pyramid(voxels[..., None], (2, 2, 2), 3, method)):
            np.testing.assert_array_equal(read_volume(target, mip), expected)


def test_downsampling_in_place_adds_to_the_volume():
    voxels = labels((64, 64, 16))
    source = fresh()
    write_volume(source, voxels, "segmentation", other={"unknown": {"kept": True}})
    report = run({"job": "downsample", "source": source, "downsample": {"mips": 2, "sparse": True}})
    assert report.complete
    for mip, expected in enumerate(pyramid(voxels[..., None], (2, 2, 1), 2, "mode", sparse=True)):
        np.testing.assert_array_equal(read_volume(source, mip), expected)
    assert read_scale(source).other == {"unknown": {"kept": True}}
    # and again does nothing
    again = run({"job": "downsample", "source": source, "downsample": {"mips": 2, "sparse": True}})
    assert again.tasks.done_before == again.tasks.total
    assert again.counts.chunks_written == 0
