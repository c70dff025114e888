"""Orphans are found and freed; what lives, and what is not ours, stays.

The sweep looks into a private folder beside the segments, where they are linked to: another program on this
machine that sweeps at the same time, as every run does, would free the orphans before the test looks.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cvbatch.memory import SharedBlock, list_segments, sweep, sweep_segments
from cvbatch.memory.segment import segment_name

SHM = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="segments are not listed here")

OWNER = """
import sys
from cvbatch.memory import SharedBlock
from cvbatch.memory.segment import segment_name
block = SharedBlock(segment_name(sys.argv[1], 1), 1 << 20)
print(block.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shm(monkeypatch):
    """The folder that is swept in place of /dev/shm."""
    folder = Path(tempfile.mkdtemp(prefix="test-sweep-", dir=SHM))
    monkeypatch.setattr(sweep, "FOLDER", folder)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def owner(shm: Path):
    """A process with a segment, which is linked to in ``shm``: (process, name)."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, os.urandom(4).hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        name = process.stdout.readline().strip()
        os.link(SHM / name, shm / name)
        yield process, name
    finally:
        process.kill()
        process.communicate()
        with contextlib.suppress(FileNotFoundError):
            (SHM / name).unlink()


def make(folder: Path, name: str, nbytes: int = 4096) -> Path:
    """A segment that nobody locks."""
    path = folder / name
    path.write_bytes(bytes(nbytes))
    return path


def test_segment_of_a_living_owner_is_listed_and_stays(shm):
    with owner(shm) as (process, name):
        # when segments are listed and swept
        [found] = list_segments()
        freed = sweep_segments()
        # then the owner keeps its segment
        assert (found.name, found.owner, found.owned) == (name, process.pid, True)
        assert found.nbytes == 1 << 20
        assert freed == []
        assert (shm / name).exists()


def test_segment_of_a_killed_owner_is_an_orphan_and_freed(shm):
    with owner(shm) as (process, name), owner(shm) as (living, living_name):
        # given two owners, one of them killed without any chance to clean up
        process.kill()
        process.wait()
        # then its segment is still there, as nobody's
        assert {info.name: info.owned for info in list_segments()} == {name: False, living_name: True}
        # when swept, then it is gone, and the other's stays
        assert [(info.name, info.owner, info.nbytes) for info in sweep_segments()] == [(name, process.pid, 1 << 20)]
        assert [info.name for info in list_segments()] == [living_name]
        assert sweep_segments() == []
        assert living.poll() is None


def test_owner_that_ends_leaves_nothing():
    # given a process that closes its segment at its end
    script = OWNER.replace("sys.stdin.read()", "block.close()")
    done = subprocess.run([sys.executable, "-c", script, "deadbeef"], capture_output=True, text=True, check=True)
    assert not (SHM / done.stdout.strip()).exists()


def test_the_real_folder_lists_what_this_process_owns():
    # given a segment of this process, which no sweep takes
    with SharedBlock(segment_name(os.urandom(4).hex(), 1), 1 << 16) as block:
        [found] = [info for info in list_segments() if info.name == block.name]
        assert (found.owner, found.owned, found.nbytes) == (os.getpid(), True, 1 << 16)
        assert block.name not in [info.name for info in sweep_segments()]
        assert (SHM / block.name).exists()


@pytest.mark.parametrize(
    "name",
    [
        "em",
        "psm_12345678",
        "cvb",
        "cvb-",
        "cvb-mine",
        "cvb-em-1",
        "cvb-a-b-c",
        "cvb-em-12-x",
        "xcvb-a-1-1",
        "cvb-a-1-1.bak",
    ],
)
def test_segments_with_other_names_are_not_touched(shm, name):
    # given a segment that a user named, and an orphan
    make(shm, name)
    make(shm, f"cvb-01234567-{2**22 + 1}-0")
    # when swept
    freed = sweep_segments()
    # then only the orphan is gone
    assert [info.name for info in freed] == [f"cvb-01234567-{2**22 + 1}-0"]
    assert [path.name for path in shm.iterdir()] == [name]


def test_lock_decides_and_not_the_pid(shm):
    # given a segment with the pid of a living process that doesn't own it: pids are used again
    make(shm, f"cvb-01234567-{os.getpid()}-0")
    # and one whose pid is gone or of another container, and that somebody locks
    held = make(shm, f"cvb-01234567-{2**22 + 1}-1")
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # then the first is an orphan and the second is not
        assert [info.name for info in sweep_segments()] == [f"cvb-01234567-{os.getpid()}-0"]
        assert [path.name for path in shm.iterdir()] == [held.name]


def test_segment_in_the_making_is_left_alone(shm):
    # given a segment that has no pages yet: its owner is about to lock it
    path = make(shm, f"cvb-01234567-{os.getpid()}-0", nbytes=0)
    assert sweep_segments() == []
    assert path.exists()
    # and one whose owner died at just that moment
    dead = make(shm, f"cvb-01234567-{2**22 + 1}-0", nbytes=0)
    assert [info.name for info in sweep_segments()] == [dead.name]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "socket", "huge pid"])
def test_what_is_not_a_segment_does_not_stop_the_sweep(shm, tmp_path, kind):
    # given something strange under the name of a segment, and an orphan
    strange = shm / f"cvb-01234567-{2**22 + 2}-0"
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    if kind == "link":
        strange.symlink_to(target)
    elif kind == "folder":
        strange.mkdir()
    elif kind == "pipe":
        os.mkfifo(strange)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(strange))
    else:
        strange = make(shm, f"cvb-01234567-{'9' * 30}-0", nbytes=0)
    orphan = make(shm, f"cvb-01234567-{2**22 + 1}-1")
    # when swept
    assert orphan.name in [info.name for info in list_segments()]
    assert orphan.name in [info.name for info in sweep_segments()]
    # then the orphan is gone and nothing else was harmed
    assert not orphan.exists()
    assert target.read_bytes() == b"precious"
    if kind in ("link", "folder"):
        assert strange.exists()


def test_no_segments_at_all(shm):
    assert list_segments() == []
    assert sweep_segments() == []


def test_where_the_platform_lists_no_segments(monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "FOLDER", tmp_path / "nowhere")
    assert list_segments() == []
    assert sweep_segments() == []
