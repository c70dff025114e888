"""``parallel``: the same answers and errors, whoever works, and whatever becomes of them."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import psutil
import pytest
from library import CHUNK, OFFSET, SIZE, info_of, made
from volumes import noise

from cvbatch import Bbox, CloudVolume, Vec
from cvbatch.errors import DecodingError, EmptyVolumeException, WorkerDiedError
from cvbatch.volume import pool


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "em", voxels, parallel=2)


def workers() -> list[int]:
    """The pool's processes."""
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in children if "cvbatch.volume.child" in child.cmdline()]


def run_program(text: str, *arguments: str) -> str:
    """What a program of its own prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_answer_is_the_same(vol, voxels):
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    part = vol[20:60, 0:20, 7:19]
    np.testing.assert_array_equal(part[..., 0], voxels[10:50, 20:40, 2:14])
    assert part.flags.f_contiguous


def test_outside_of_the_volume_is_background(vol, voxels):
    vol.bounded, vol.background_color = False, 7
    box = Bbox((0, -30, 0), (90, 40, 30))
    got = vol[box][..., 0]
    wanted = np.full(box.size(), 7, np.uint8)
    wanted[10:80, 10:60, 5:25] = voxels
    np.testing.assert_array_equal(got, wanted)


def test_processes_are_kept_between_calls_and_volumes(vol, tmp_path):
    vol[:]
    before = workers()
    made(tmp_path / "other", noise(SIZE, "uint16"), parallel=2)[:]
    assert workers() == before
    assert len(before) >= 2


def test_no_segment_is_left(vol):
    vol[:]
    assert not [name for name in os.listdir("/dev/shm") if name.startswith("cvb-") and f"-{os.getpid()}-" in name]


@pytest.mark.parametrize("parallel", [1, 2, 5])
def test_the_first_missing_chunk_is_named_however_many_work(vol, tmp_path, parallel):
    for name in ("42-74_-4-12_5-13", "74-80_28-30_21-25"):
        os.unlink(tmp_path / "em" / "4_4_40" / f"{name}.gz")
    vol.parallel = parallel
    with pytest.raises(EmptyVolumeException, match="42-74_-4-12_5-13 is missing"):
        vol[:]
    vol.fill_missing = True
    assert not vol[42:74, -4:12, 5:13].any()
    assert vol[:].any()


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_damaged_chunk_is_named(vol, tmp_path, parallel):
    path = tmp_path / "em" / "4_4_40" / "42-74_-4-12_5-13.gz"
    path.write_bytes(path.read_bytes()[:-20])
    vol.parallel = parallel
    with pytest.raises(DecodingError, match="42-74_-4-12_5-13"):
        vol[:]


def test_writing(tmp_path, voxels):
    alone, together = made(tmp_path / "a", voxels), made(tmp_path / "b", voxels, parallel=3)
    together[:] = voxels + np.uint8(1)
    alone[:] = voxels + np.uint8(1)
    for path in (tmp_path / "a" / "4_4_40").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "4_4_40" / path.name).read_bytes()


def test_an_error_in_writing_is_the_same(tmp_path, monkeypatch):
    # given chunks that can't be written where a file is in the way of their folder
    for parallel in (1, 2):
        vol = CloudVolume(str(tmp_path / "em"), info=info_of(noise(SIZE, "uint8")), parallel=parallel)
        vol.commit_info()
        (tmp_path / "em" / "4_4_40").write_text("in the way")
        with pytest.raises(Exception, match="4_4_40") as caught:
            vol[:] = noise(SIZE, "uint8")
        assert type(caught.value).__name__ == "StorageError"


def test_after_an_exception_the_next_call_works(vol, tmp_path, voxels):
    path = tmp_path / "em" / "4_4_40" / "42-74_-4-12_5-13.gz"
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(EmptyVolumeException):
        vol[:]
    path.write_bytes(data)
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_a_process_that_was_killed_while_idle_is_replaced(vol, voxels):
    vol[:]
    child = pool.shared_pool()._children[0]
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_a_process_that_is_killed_at_work_fails_the_call_and_not_the_next(vol, voxels, monkeypatch):
    # given a process that is killed when it is handed its first numbers
    vol[:]
    give = pool._Busy._give

    def kill_then_give(self, child):
        monkeypatch.undo()
        child.process.kill()
        child.process.wait()
        give(self, child)

    monkeypatch.setattr(pool._Busy, "_give", kill_then_give)
    with pytest.raises(WorkerDiedError, match="killed by SIGKILL"):
        vol[:]
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_an_interrupt_leaves_nobody_at_work(vol, voxels, monkeypatch):
    # given Ctrl-C while it is waited for the processes
    vol[:]
    before = workers()

    def interrupt(self, child):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(pool._Busy, "_hear", interrupt)
    with pytest.raises(KeyboardInterrupt):
        vol[:]
    assert not set(before[:2]) & set(workers())
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_from_many_threads(vol, voxels):
    found = []

    def read(x):
        found.append(np.array_equal(vol[x : x + 20, -20:30, 5:25][..., 0], voxels[x - 10 : x + 10]))

    threads = [threading.Thread(target=read, args=(x,), daemon=True) for x in range(10, 50, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * len(threads)


def test_a_forked_process_has_a_pool_of_its_own(vol, tmp_path):
    # In a program of its own: forking the test's threads is not what is looked at.
    said = run_program(
        """
        import os, sys
        from cvbatch import CloudVolume
        vol = CloudVolume(sys.argv[1], parallel=2)
        before = vol[:]
        pid = os.fork()
        if pid == 0:
            os._exit(0 if (vol[:] == before).all() else 1)
        print(os.waitpid(pid, 0)[1], (vol[:] == before).all())
        """,
        str(tmp_path / "em"),
    )
    assert said.split() == ["0", "True"]


def test_in_a_script_without_a_guard(vol, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom cvbatch import CloudVolume\nprint(CloudVolume(sys.argv[1], parallel=2)[:].sum())"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "em")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(vol[:].sum())]
    assert done.stderr == ""


def test_in_an_interactive_interpreter(vol, tmp_path):
    # As in a notebook, there is no file for __main__.
    path = str(tmp_path / "em")
    lines = f"from cvbatch import CloudVolume\nprint(CloudVolume({path!r}, parallel=2, progress=False)[:].sum())\n"
    done = subprocess.run([sys.executable, "-i", "-q"], input=lines, capture_output=True, text=True, check=True)
    assert str(vol[:].sum()) in done.stdout


def test_in_memory_volumes_are_read_by_this_process(voxels):
    vol = made("mem://pool/em", voxels, parallel=4)
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_pickles_are_small_and_read_the_same(vol, voxels):
    vol.fill_missing, vol.bounded, vol.mip = True, False, 0
    data = pickle.dumps(vol)
    assert len(data) < 2000
    again = pickle.loads(data)
    assert (again.fill_missing, again.bounded, again.parallel) == (True, False, 2)
    np.testing.assert_array_equal(again[:][..., 0], voxels)


def test_what_was_not_committed_is_in_the_pickle(tmp_path):
    vol = CloudVolume(str(tmp_path / "new"), info=info_of(noise(SIZE, "uint8")))
    again = pickle.loads(pickle.dumps(vol))
    assert again.info == vol.info


def test_a_cutout_pickles_with_what_it_knows(vol):
    cutout = pickle.loads(pickle.dumps(vol[10:20, 0:5, 6:9]))
    assert cutout.bounds == Bbox((10, 0, 6), (20, 5, 9))
    assert cutout.resolution == Vec(4, 4, 40)


def test_wrong_numbers_of_processes(vol):
    for wrong in (0, -1, "two"):
        with pytest.raises(ValueError, match="parallel is"):
            vol.parallel = wrong
        with pytest.raises(ValueError, match="parallel is"):
            vol.download(vol.bounds, parallel=wrong)
    vol.parallel = True
    assert vol.parallel == os.cpu_count()
    assert vol.download(vol.bounds, parallel=True).shape == vol.shape


def test_the_grid_of_the_fixture_has_many_chunks():
    assert all(size > chunk for size, chunk in zip(SIZE, CHUNK, strict=True))
    assert OFFSET[1] < 0
