"""Disks, memory and handles that are used up: said clearly, and after it the job goes on to the right bytes."""

import contextlib
import os
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from chaos.commands import SIGBUS, config_file, cvbatch, objects, orphans_after_sweep
from volumes import noise, write_volume

from cvbatch import CloudVolume

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, and how it is made of another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def resize(nbytes: int) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={nbytes}", str(place)], check=True)
        return place

    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"mounting a small disk needs root: {made.stderr.decode().strip()}")
    yield resize
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A source, and what an undisturbed job makes of it: 1.4 MB."""
    folder = tmp_path_factory.mktemp("full")
    write_volume(f"file://{folder}/a", noise((128, 128, 64)), chunk_size=(32, 32, 16))
    done = cvbatch("run", job(folder, folder / "calm", name="calm"))
    assert done.returncode == 0, done.stderr
    return folder, objects(folder / "calm")


def job(source: Path, destination: Path, name: str = "job", **keys) -> Path:
    """A transfer with mips, in 16 tasks."""
    return config_file(
        source / f"{name}.yaml",
        job="transfer",
        source=f"file://{source}/a",
        destination={"path": f"file://{destination}", "chunk_size": [16, 16, 8], "compress": "none"},
        downsample={"mips": 2},
        workers={"processes": 2},
        queue={"url": "local", "max_attempts": 2},
        **keys,
    )


def fails(done: subprocess.CompletedProcess, *said: str, status: tuple[int, ...] = (1,)) -> None:
    """It ended with an error that says why, and no process died of it."""
    assert done.returncode in status, (done.returncode, done.stderr)
    assert any(word in done.stderr for word in said), done.stderr
    assert "SIGBUS" not in done.stderr
    assert done.returncode != SIGBUS
    assert "Nobody thought of this" not in done.stderr
    assert "Traceback" not in done.stderr


def goes_on(config: Path, destination: Path, expected: dict[str, bytes]) -> None:
    """The same command completes what was left, to the same bytes."""
    done = cvbatch("run", config)
    assert done.returncode == 0, done.stderr
    assert objects(destination) == expected
    assert list(destination.rglob("*.cvbpart")) == []
    assert orphans_after_sweep() == []


@pytest.mark.parametrize("nbytes", [16 << 10, 1200 << 10])
def test_the_disk_of_the_destination_is_full(made, small_disk, nbytes):
    source, expected = made
    destination = small_disk(nbytes) / "out"
    config = job(source, destination)
    fails(cvbatch("run", config), "No space left on device")
    small_disk(30 * MIB)
    goes_on(config, destination, expected)


def test_the_disk_of_the_destination_is_full_and_the_state_is_elsewhere(made, small_disk, tmp_path):
    # given a state that can be written, so that the failures can
    source, expected = made
    destination = small_disk(300 << 10) / "out"
    config = job(source, destination, state=f"file://{tmp_path}/state")
    done = cvbatch("run", config)
    # then each task that had no room is named
    fails(done, "No space left on device")
    assert "failed   task" in done.stdout
    small_disk(30 * MIB)
    goes_on(config, destination, expected)


@pytest.mark.parametrize("nbytes", [40 << 10])
def test_the_disk_of_the_state_is_full(made, small_disk, tmp_path, nbytes):
    source, expected = made
    config = job(source, tmp_path / "out", state=f"file://{small_disk(nbytes)}/state")
    fails(cvbatch("run", config), "No space left on device")
    small_disk(30 * MIB)
    goes_on(config, tmp_path / "out", expected)


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_disk_of_the_cache_is_full(made, small_disk, caplog, parallel):
    # given a cache for a tenth of the volume
    source, _ = made
    expected = CloudVolume(f"file://{source}/a")[:]
    place = small_disk(100 << 10)
    vol = CloudVolume(f"file://{source}/a", cache=f"{place}/cache", parallel=parallel)
    # then everything is read, twice, and the user is told
    for _ in range(2):
        np.testing.assert_array_equal(vol[:], expected)
    if parallel == 1:
        assert "No space left on device" in caplog.text
    assert list(place.rglob("*.cvbpart")) == []


def with_shared_memory(nbytes: int) -> list[str]:
    """What to put before a command so that it has a ``/dev/shm`` of that size, which nobody else sees."""
    script = f'mount --make-rprivate / && mount -t tmpfs -o size={nbytes} none /dev/shm && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    probe = [*before, "true"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("a mount namespace of its own needs root")
    return before


# What a later check finds out, in place of the one that looks before anything begins.
UNCHECKED = """
import importlib
importlib.import_module("cvbatch.runtime.execute").check_room = lambda plan, processes: None
"""


def test_too_little_shared_memory_is_refused_before_anything_is_done(made, tmp_path):
    source, expected = made
    config = job(source, tmp_path / "out")
    done = cvbatch("run", config, before=with_shared_memory(64 << 10))
    fails(done, "enlarge /dev/shm", status=(2,))
    assert not (tmp_path / "out").exists()
    goes_on(config, tmp_path / "out", expected)


def test_shared_memory_that_others_take_in_the_middle_is_no_sigbus(made, tmp_path):
    # given a machine where there was room when the run looked, and there is none later
    source, expected = made
    config = job(source, tmp_path / "out")
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup/sitecustomize.py").write_text(UNCHECKED)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "startup")}
    done = cvbatch("run", config, before=with_shared_memory(64 << 10), env=environment)
    # then its tasks fail with advice, and no process dies
    fails(done, "enlarge /dev/shm")
    assert "another one takes its place" not in done.stderr
    goes_on(config, tmp_path / "out", expected)


def limited(what: int, to: int):
    """Limits a resource in the child before the command begins."""
    return lambda: resource.setrlimit(what, (to, to))


@pytest.mark.parametrize("handles", [8, 64])
def test_few_handles(made, tmp_path, handles):
    # given a limit that is far below what is usual
    source, expected = made
    config = job(source, tmp_path / "out")
    done = cvbatch("run", config, preexec_fn=limited(resource.RLIMIT_NOFILE, handles))
    # then the job is done with so few, or says what there is too little of
    if done.returncode != 0:
        assert "Too many open files" in done.stderr
        assert done.returncode in (1, 2)
    goes_on(config, tmp_path / "out", expected)


@pytest.mark.parametrize("mib", [250, 500])
def test_little_memory(made, tmp_path, mib):
    # given a limit on the memory of each process
    source, expected = made
    config = job(source, tmp_path / "out")
    done = cvbatch("run", config, preexec_fn=limited(resource.RLIMIT_AS, mib * MIB))
    assert done.returncode in (0, 1, 2), (done.returncode, done.stderr)
    if done.returncode != 0:
        assert done.stderr.strip()
    goes_on(config, tmp_path / "out", expected)


def test_files_may_not_grow(made, tmp_path):
    # given a limit below the size of a chunk (it counts for shared memory, too)
    source, expected = made
    config = job(source, tmp_path / "out")
    fails(cvbatch("run", config, preexec_fn=limited(resource.RLIMIT_FSIZE, 3000)), "File too large")
    goes_on(config, tmp_path / "out", expected)


def test_a_worker_of_a_queue_whose_state_is_full(made, small_disk, tmp_path):
    # given a job of a queue, whose state is on a disk that fills up
    source, expected = made
    queue = f"fq://{tmp_path}/queue"
    assert cvbatch("queue", "create", queue).returncode == 0
    config = job(source, tmp_path / "out", state=f"file://{small_disk(100 << 10)}/state")
    text = config.read_text().replace("url: local", f"url: {queue}")
    config.write_text(text)
    assert cvbatch("enqueue", config).returncode == 0
    with contextlib.suppress(OSError), open(small_disk(100 << 10) / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    done = cvbatch("work", queue, "--processes", "1", "--lease-seconds", "2", "--exit-when-empty")
    fails(done, "No space left on device")
    # when there is room again, then another worker does what is left
    small_disk(30 * MIB)
    done = cvbatch("work", queue, "--processes", "1", "--lease-seconds", "2", "--exit-when-done")
    assert done.returncode == 0, done.stderr
    goes_on(config, tmp_path / "out", expected)
