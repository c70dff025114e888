"""What `verify` finds, and that `--repair` heals it and touches nothing else."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from volumes import files, labels, noise, write_volume

from cvbatch import run
from cvbatch.api.verify import VerifyOptions, verify, verify_volumes
from cvbatch.errors import InputError
from cvbatch.inspect.verify import Sampled
from cvbatch.storage import parse_location

REPAIR = VerifyOptions(repair=True)


def smooth(size):
    """An image that lossy encodings hold well."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij")).astype(float)
    wave = 100 + 40 * np.sin(grid[0] / 7) + 30 * np.cos(grid[1] / 5) + 20 * np.sin(grid[2] / 3)
    return np.asfortranarray(wave.astype(np.uint8))


def config(tmp_path, kind: str, **destination) -> dict:
    """A job of a kind, whose source is written."""
    source, target = tmp_path / "source", {"path": str(tmp_path / "out"), "chunk_size": [16, 16, 8], **destination}
    if kind == "labels":
        write_volume(str(source), labels((64, 48, 24)), "segmentation", chunk_size=(32, 16, 8))
    else:
        voxels = smooth((64, 48, 24)) if kind == "smooth" else noise((64, 48, 24))
        write_volume(str(source), voxels, chunk_size=(32, 16, 8))
    return {
        "job": "transfer",
        "source": str(source),
        "destination": target,
        "downsample": {"mips": 2, "factor": [2, 2, 1]},
        "workers": {"processes": 1},
    }


LAYOUTS = {
    "gzip": ("image", {}),
    "raw": ("image", {"compress": "none"}),
    "jpeg": ("smooth", {"encoding": {"name": "jpeg", "quality": 80}}),
    "png": ("image", {"encoding": "png"}),
    "labels": ("labels", {"encoding": "compressed_segmentation"}),
}


@pytest.fixture(params=LAYOUTS)
def job(request, tmp_path):
    """A job that is done, in each layout."""
    kind, destination = LAYOUTS[request.param]
    found = config(tmp_path, kind, **destination)
    assert run(found).complete
    return found


@pytest.fixture
def plain(tmp_path):
    """A job that is done, with a file a chunk."""
    found = config(tmp_path, "image")
    assert run(found).complete
    return found


def chunks(job: dict, level: str = "4_4_40") -> list[Path]:
    return sorted(path for path in (Path(job["destination"]["path"]) / level).iterdir() if path.is_file())


def remove(job: dict) -> None:
    chunks(job)[3 % len(chunks(job))].unlink()


def truncate(job: dict) -> None:
    path = chunks(job)[-1]
    path.write_bytes(path.read_bytes()[:-5])


def flip(job: dict) -> None:
    # Where the voxels are: not in a table of the header that this picture makes no use of.
    path = chunks(job)[0]
    data = bytearray(path.read_bytes())
    data[len(data) * 7 // 8] ^= 0x10
    path.write_bytes(data)


def swap(job: dict) -> None:
    a, b = chunks(job)[0], chunks(job)[-1]
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)


def missing_mip(job: dict) -> None:
    for path in chunks(job, "16_16_40"):
        path.unlink()


DAMAGE: tuple[Callable[[dict], None], ...] = (remove, truncate, flip, missing_mip)


def test_damage_is_found_and_healed_in_every_layout(job):
    folder = Path(job["destination"]["path"])
    before = files(folder)
    for damage in DAMAGE:
        damage(job)
    found = verify(job)
    assert not found.right
    assert {finding.level for finding in found.verdict.findings} == {"4_4_40", "16_16_40"}
    assert found.verdict.findings
    assert all(finding.task for finding in found.verdict.findings)
    assert files(folder) != before, "verify repaired without being asked to"
    healed = verify(job, REPAIR)
    assert healed.right
    assert healed.repaired
    assert files(folder) == before
    assert healed.verdict.chunks == 4 * 3 * 3 + 2 * 2 * 3 + 1 * 1 * 3


@pytest.mark.parametrize("damage", [remove, truncate, flip])
def test_damage_of_a_shard(tmp_path, damage):
    job = config(tmp_path, "labels", sharding="auto")
    run(job)
    folder = Path(job["destination"]["path"])
    before = files(folder)
    damage(job)
    assert not verify(job).right
    assert verify(job, REPAIR).right
    assert files(folder) == before


def problems(found) -> list[tuple[str, str, str]]:
    return [(each.level, each.chunk, each.problem) for each in found.verdict.findings]


def name(path: Path) -> str:
    return path.name.removesuffix(".gz")


def test_each_problem_is_named_with_its_chunk(plain):
    gone, cut, flipped, *_, last = chunks(plain)
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:40])
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    last.write_bytes(b"")
    found = verify(plain)
    expected = [(gone, "missing"), (cut, "damaged"), (flipped, "damaged"), (last, "damaged")]
    assert sorted(problems(found)) == sorted(("4_4_40", name(path), problem) for path, problem in expected)
    assert "has no bytes" in next(each.detail for each in found.verdict.findings if each.chunk == name(last))


def test_swapped_chunks_differ_and_the_first_voxel_is_named(plain):
    swap(plain)
    found = verify(plain)
    assert {each[2] for each in problems(found)} == {"differs"}
    assert len(found.verdict.findings) == 2
    finding = found.verdict.findings[0]
    source = noise((64, 48, 24))
    assert finding.voxels > 1000
    assert f"the first at (0, 0, 0) is {source[48, 32, 8]}, and should be {source[0, 0, 0]}" in finding.detail
    assert verify(plain, REPAIR).right


@pytest.mark.parametrize("level", ["4_4_40", "8_8_40"])
def test_zeros_where_data_was(plain, level):
    from cvbatch.codecs import byte_codec

    path = chunks(plain, level)[2]
    before = path.read_bytes()
    path.write_bytes(byte_codec("gzip", None, "image", "raw").compress(bytes(16 * 16 * 8)))
    found = verify(plain)
    assert problems(found) == [(level, name(path), "differs")]
    assert verify(plain, REPAIR).right
    assert path.read_bytes() == before


def test_a_wrong_mip_differs(plain, tmp_path):
    # given coarser levels that another program has made, by taking every second voxel
    other = {**plain, "destination": {**plain["destination"], "path": str(tmp_path / "other")}}
    run({**other, "downsample": {"mips": 2, "factor": [2, 2, 1], "method": "stride"}})
    for path in chunks(other, "8_8_40"):
        (Path(plain["destination"]["path"]) / "8_8_40" / path.name).write_bytes(path.read_bytes())
    found = verify(plain)
    assert {(level, problem) for level, _, problem in problems(found)} == {("8_8_40", "differs")}
    assert len(found.verdict.findings) == 12


def test_a_stale_chunk_of_an_older_job_is_found(plain):
    # given a chunk that an older job left, with another compression beside the new one, and one with another content
    first, second = chunks(plain)[:2]
    (first.parent / f"{name(first)}.br").write_bytes(b"old")
    second.write_bytes(chunks(plain)[5].read_bytes())
    before = {path.name for path in chunks(plain)} - {f"{name(first)}.br"}
    found = verify(plain)
    assert sorted(problems(found)) == sorted([("4_4_40", name(first), "twice"), ("4_4_40", name(second), "differs")])
    assert verify(plain, REPAIR).right
    assert {path.name for path in chunks(plain)} == before


def test_files_that_nobody_reads_are_told_and_left_alone(plain):
    stray = chunks(plain)[0].parent / "0-7_0-7_0-7.gz"
    stray.write_bytes(b"from another grid")
    found = verify(plain, REPAIR)
    assert found.right
    assert (found.listings[0].strays, found.listings[0].stray_names) == (1, ("4_4_40/0-7_0-7_0-7",))
    assert stray.exists()


def test_a_scale_that_info_lacks(plain):
    path = Path(plain["destination"]["path"]) / "info"
    whole = path.read_bytes()
    info = json.loads(whole)
    info["scales"].pop()
    path.write_text(json.dumps(info))
    found = verify(plain)
    assert [(level, problem) for level, _, problem in problems(found)] == [("16_16_40", "missing")]
    assert verify(plain, REPAIR).right
    assert json.loads(path.read_bytes()) == json.loads(whole)


def many_tasks(tmp_path, **keys) -> dict:
    """A job of twelve tasks in its first pass, and more passes."""
    write_volume(str(tmp_path / "source"), noise((96, 64, 16)), chunk_size=(32, 32, 8))
    return {
        "job": "transfer",
        "source": str(tmp_path / "source"),
        "destination": {"path": str(tmp_path / "out"), "chunk_size": [32, 32, 8]},
        "downsample": {"mips": 2, "factor": [2, 2, 1]},
        "workers": {"processes": 6},
        **keys,
    }


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file was written last, and as which."""
    found = [path for path in folder.rglob("*") if path.is_file() and ".cvbatch" not in path.parts]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def test_repair_runs_just_the_tasks_that_write_what_is_wrong(tmp_path):
    job = many_tasks(tmp_path)
    report = run(job)
    assert report.tasks.total > 12, "the job should have several tasks and passes"
    folder = Path(job["destination"]["path"])
    before, contents = stamps(folder), files(folder)
    chunks(job)[4].unlink()
    healed = verify(job, REPAIR)
    assert healed.right
    after = stamps(folder)
    changed = {name for name in before if before[name] != after[name]}
    # A task of this pass writes the chunks of its own box, and nobody else's.
    assert {name.split("/")[0] for name in changed} == {"4_4_40"}
    assert len(changed) == 1
    assert files(folder) == contents
    assert run(job).tasks.done_before == report.tasks.total


@pytest.mark.parametrize("level", ["4_4_40", "8_8_40", "16_16_40"])
def test_repair_of_a_level_that_a_later_pass_reads(tmp_path, level):
    job = many_tasks(tmp_path)
    run(job)
    folder = Path(job["destination"]["path"])
    contents = files(folder)
    for path in chunks(job, level)[:2]:
        path.unlink()
    assert not verify(job).right
    assert verify(job, REPAIR).right
    assert files(folder) == contents


def test_repair_where_the_state_is_gone(tmp_path):
    job = many_tasks(tmp_path)
    run(job)
    folder = Path(job["destination"]["path"])
    before = stamps(folder)
    chunks(job)[4].unlink()
    for path in sorted((folder / ".cvbatch").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match="only a sample was compared"):
        verify(job, VerifyOptions(repair=True, sample=3))
    assert verify(job, REPAIR).right
    after = stamps(folder)
    assert len({name for name in before if before[name] != after[name]} - {"provenance"}) == 1


def test_a_sample_says_what_it_is_worth(tmp_path):
    job = many_tasks(tmp_path)
    run(job)
    found = verify(job, VerifyOptions(sample=5))
    assert found.right
    assert found.sampled[0] == Sampled(5, 12)
    assert found.report is not None
    assert found.report.tasks.total == sum(each.tasks for each in found.sampled)
    # All names are looked at, also where no task has looked.
    for path in chunks(job):
        path.unlink()
    assert found.verdict.chunks < 12
    assert verify(job, VerifyOptions(sample=2)).count("missing") == 12
    names = verify(job, VerifyOptions(sample=0))
    assert names.count("missing") == 12
    assert names.report is None


@pytest.mark.parametrize(("tasks", "total"), [(1, 2), (3, 10), (10, 50), (29, 30), (5, 5)])
def test_the_confidence_of_a_sample_against_counting(tasks, total):
    from math import comb

    # A sample of k meets none of d bad tasks in C(n - d, k) of C(n, k) cases.
    possible = [d for d in range(total + 1) if comb(total - d, tasks) / comb(total, tasks) >= 0.05]
    expected = 0 if tasks == total else max(possible) / total
    assert Sampled(tasks, total).bad_share == expected


def test_a_lossy_level_must_be_what_encoding_gives(tmp_path):
    job = config(tmp_path, "smooth", encoding={"name": "jpeg", "quality": 60})
    run(job)
    found = verify(job)
    assert found.right
    assert 0 < found.verdict.error_mean < found.verdict.error_max < 40
    assert found.verdict.lossy_voxels == found.verdict.voxels
    # given a chunk of another quality, which no listing and no decoder finds
    other = config(tmp_path / "b", "smooth", encoding={"name": "jpeg", "quality": 30})
    run(other)
    chunks(job)[7].write_bytes(chunks(other)[7].read_bytes())
    worse = verify(job)
    assert problems(worse) == [("4_4_40", chunks(job)[7].name, "differs")]
    assert "encoding loses up to" in worse.verdict.findings[0].detail
    assert verify(job, VerifyOptions(tolerance=255)).right


def test_background_that_is_not_written_is_not_missing(tmp_path):
    voxels = noise((64, 48, 24))
    voxels[:32] = 0
    write_volume(str(tmp_path / "source"), voxels)
    job = {
        "job": "transfer",
        "source": str(tmp_path / "source"),
        "destination": {"path": str(tmp_path / "out"), "chunk_size": [16, 16, 8]},
        "delete_background": True,
        "workers": {"processes": 1},
    }
    run(job)
    assert verify(job).right
    chunks(job)[-1].unlink()
    assert problems(verify(job)) == [("4_4_40", "48-64_32-48_8-16", "missing")]
    assert verify(job, REPAIR).right


def test_filled_chunks_must_be_background(tmp_path):
    job = config(tmp_path, "image")
    next((tmp_path / "source" / "4_4_40").iterdir()).unlink()
    job["source"] = {"path": job["source"], "missing": "fill"}
    run(job)
    assert verify(job).right


def test_what_cannot_be_compared_is_told(plain):
    # given a source that has lost a chunk since
    next((Path(plain["source"]) / "4_4_40").iterdir()).unlink()
    found = verify(plain)
    assert not found.right
    assert not found.verdict.findings
    assert found.report is not None
    assert "is missing" in found.report.failures[0].error


def test_copies_of_damaged_chunks(tmp_path):
    # given chunks that went through as they are, of which one was damaged before
    write_volume(str(tmp_path / "source"), noise((64, 48, 24)))
    job = {
        "job": "transfer",
        "source": str(tmp_path / "source"),
        "destination": str(tmp_path / "out"),
        "workers": {"processes": 1},
    }
    run(job)
    path = sorted((tmp_path / "out" / "4_4_40").iterdir())[3]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert problems(verify(job)) == [("4_4_40", name(path), "damaged")]


def test_two_volumes_scale_by_scale(plain):
    source, target = parse_location(plain["source"]), parse_location(plain["destination"]["path"])
    found = verify_volumes(source, target)
    assert [each.plan.job.levels[0].scale.key for each in found] == ["4_4_40", "8_8_40", "16_16_40"]
    assert all(each.right for each in found)
    path = chunks(plain, "8_8_40")[1]
    path.write_bytes(chunks(plain, "8_8_40")[2].read_bytes())
    first, second, third = verify_volumes(source, target)
    assert first.right
    assert problems(second) == [("8_8_40", name(path), "differs")]
    assert not third.right, "the next level was made from the right one"


def test_two_volumes_of_another_program(tmp_path):
    from cloudvolume import CloudVolume

    voxels = noise((64, 48, 24))
    write_volume(str(tmp_path / "source"), voxels)
    CloudVolume.from_numpy(
        np.asfortranarray(voxels), f"file://{tmp_path}/theirs", resolution=(4, 4, 40), chunk_size=(20, 20, 20)
    )
    source, target = parse_location(str(tmp_path / "source")), parse_location(f"{tmp_path}/theirs")
    (found,) = verify_volumes(source, target)
    assert found.right
    assert found.verdict.voxels == voxels.size
    voxels[5, 6, 7] += 3
    write_volume(str(tmp_path / "source"), voxels)
    (found,) = verify_volumes(source, target)
    assert [each.voxels for each in found.verdict.findings] == [1]
    assert "at (5, 6, 7)" in found.verdict.findings[0].detail
    (found,) = verify_volumes(source, target, VerifyOptions(tolerance=3))
    assert found.right


def test_two_jpeg_volumes_of_unknown_quality(tmp_path):
    for quality, folder in ((90, "a"), (70, "b")):
        run(config(tmp_path / folder, "smooth", encoding={"name": "jpeg", "quality": quality}))
    # Without the quality in info nobody knows what was lost; a bound is derived from what the codec's own choice loses.
    source, target = parse_location(str(tmp_path / "a" / "source")), parse_location(str(tmp_path / "b" / "out"))
    assert all(each.right for each in verify_volumes(source, target))
    job = config(tmp_path / "c", "smooth", encoding={"name": "jpeg", "quality": 70})
    run(job)
    swap(job)
    assert not verify_volumes(source, parse_location(job["destination"]["path"]))[0].right


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voxel_offset": (1000, 0, 0)}, "is not inside of the source's"),
        ({"resolution": (5, 5, 40)}, "has no scale that"),
    ],
)
def test_volumes_with_nothing_in_common(tmp_path, change, message):
    write_volume(str(tmp_path / "a"), noise((32, 32, 8)))
    write_volume(str(tmp_path / "b"), noise((32, 32, 8)), **change)
    with pytest.raises(InputError, match=message):
        verify_volumes(parse_location(str(tmp_path / "a")), parse_location(str(tmp_path / "b")))


def test_nothing_is_written(plain):
    folder = Path(plain["destination"]["path"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    remove(plain)
    removed = set(before) - set(folder.rglob("*"))
    verify(plain)
    verify_volumes(parse_location(plain["source"]), parse_location(str(folder)))
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    parent = next(iter(removed)).parent
    assert {path for path in after if after[path] != before[path]} <= {parent}


def test_a_region_that_is_being_written_is_not_compared(plain):
    from cvbatch import plan
    from cvbatch.errors import JobBusyError
    from cvbatch.planner import Plan
    from cvbatch.runtime.lock import acquire

    made: Plan = plan(plain)
    lock = acquire(made)
    lock.release()
    other = {**plain, "destination": {**plain["destination"], "compress": "br"}}
    busy = acquire(plan(other))
    with pytest.raises(JobBusyError):
        verify(plain)
    busy.release()
    assert verify(plain).right


def test_an_interrupted_comparison_goes_on(plain, tmp_path):
    from cvbatch.errors import InterruptedRun
    from cvbatch.events import TaskDone
    from cvbatch.runtime.stop import StopFlag

    job = many_tasks(tmp_path / "many", workers={"processes": 2})
    run(job)
    how = VerifyOptions(state=parse_location(str(tmp_path / "state")))
    stop = StopFlag()

    def stop_soon(event: object) -> None:
        if isinstance(event, TaskDone):
            stop.request()

    with pytest.raises(InterruptedRun):
        verify(job, how, stop_soon, stop)
    found = verify(job, how)
    assert found.right
    assert found.report is not None
    assert found.report.tasks.done_before > 0
    assert found.verdict.chunks == 12 + 4 + 2
    # Once it has ended, the next one begins from the beginning.
    chunks(job)[0].unlink()
    assert not verify(job, how).right


def test_the_umask_and_owner_of_repaired_files_are_those_of_others(plain):
    modes = {os.stat(path).st_mode for path in chunks(plain)}
    remove(plain)
    verify(plain, REPAIR)
    assert {os.stat(path).st_mode for path in chunks(plain)} == modes


def test_a_deletion_is_not_verified(plain):
    # Repairing it would delete.
    with pytest.raises(InputError, match="makes nothing that could be compared"):
        verify({"job": "delete", "source": plain["destination"]["path"], "mips": [1]}, REPAIR)


def test_missing_chunks_of_tasks_that_failed_are_counted(plain):
    next((Path(plain["source"]) / "4_4_40").iterdir()).unlink()
    chunks(plain)[0].unlink()
    found = verify(plain)
    assert found.report is not None
    assert found.report.tasks.failed == 1
    assert found.count("missing") == 1


def test_a_web_server_does_not_list(plain):
    with pytest.raises(InputError, match="doesn't list what it has"):
        verify_volumes(parse_location(plain["source"]), parse_location("http://127.0.0.1:1/out"))
