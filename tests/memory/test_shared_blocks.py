"""Segments: seen by other processes, for this user only, gone when closed, refused where there is no room."""

import os
import re
import stat
import subprocess
import sys

import numpy as np
import posix_ipc
import pytest
from segments import there

from cvbatch.errors import CvbatchError, SharedMemoryError
from cvbatch.memory import SharedBlock, available_bytes
from cvbatch.memory.segment import LONGEST_NAME, PREFIX, segment_name

linux_only = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="looks at segments in /dev/shm")


@pytest.fixture
def name():
    """A name that no other segment of this machine has."""
    return segment_name("testblok", int.from_bytes(os.urandom(3), "little"))


DOUBLE_ALL = """
import mmap, sys
import numpy as np, posix_ipc
segment = posix_ipc.SharedMemory("/" + sys.argv[1])
memory = mmap.mmap(segment.fd, segment.size)
array = np.ndarray((4, 3, 2), np.uint16, buffer=memory, offset=64, order="F")
print(segment.size, *array.ravel(order="F"))
array *= 2
"""


def test_another_process_sees_it_by_name(name):
    # given a segment with voxels somewhere in it
    with SharedBlock(name, 1 << 16) as block:
        voxels = block.array(64, (4, 3, 2), np.dtype(np.uint16))
        voxels[...] = np.arange(24).reshape(4, 3, 2, order="F")
        # when a process that knows nothing of cvbatch maps it and doubles them
        done = subprocess.run([sys.executable, "-c", DOUBLE_ALL, name], capture_output=True, text=True, check=True)
        # then it saw them in Fortran order, and what it did is seen here
        assert done.stdout.split() == [str(n) for n in [1 << 16, *range(24)]]
        assert voxels.ravel(order="F").tolist() == list(range(0, 48, 2))


def test_arrays_are_fortran_ordered_and_writable(name):
    with SharedBlock(name, 4096) as block:
        array = block.array(0, (5, 4, 3, 2), np.dtype(np.float32))
        assert array.flags.f_contiguous
        assert array.flags.writeable
        # given a second array over the same bytes
        array[1, 0, 0, 0] = 7
        assert block.array(4, (1,), np.dtype(np.float32))[0] == 7


def test_new_segment_is_zero_and_as_long_as_asked_for(name):
    with SharedBlock(name, 5000) as block:
        assert block.nbytes == 5000
        assert not block.array(0, (5000,), np.dtype(np.uint8)).any()


@pytest.mark.parametrize("dtype", ["uint8", "uint64"])
def test_array_beyond_the_end_is_refused(name, dtype):
    with SharedBlock(name, 4096) as block:
        items = 4096 // np.dtype(dtype).itemsize
        assert block.array(0, (items,), np.dtype(dtype)).size == items
        with pytest.raises((TypeError, ValueError)):
            block.array(0, (items + 1,), np.dtype(dtype))


@linux_only
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_readable_by_this_user_only(name, umask):
    # given a process that makes its files readable for all
    before = os.umask(umask)
    try:
        block = SharedBlock(name, 4096)
    finally:
        os.umask(before)
    with block:
        # then nobody else may look at its voxels
        assert stat.S_IMODE(os.stat(f"/dev/shm/{name}").st_mode) & ~0o600 == 0


def test_close_unlinks(name):
    block = SharedBlock(name, 4096)
    assert there(name)
    block.close()
    assert not there(name)


def test_unlinked_also_after_an_error(name):
    with pytest.raises(KeyError), SharedBlock(name, 4096):
        raise KeyError
    assert not there(name)


USE_AFTER_CLOSE = """
import sys
import numpy as np
from cvbatch.memory import SharedBlock
block = SharedBlock(sys.argv[1], 4096)
array = block.array(0, (16, 16, 16), np.dtype(np.uint8))
array[...] = 3
part = array[2:, 3:]
del array
block.close()
print(part.sum())
"""


def test_arrays_outlive_the_segment(name):
    # given a process with an array over a segment that is closed (one of its own: it might crash)
    done = subprocess.run([sys.executable, "-c", USE_AFTER_CLOSE, name], capture_output=True, text=True, check=False)
    # then the array is still what it was, and the name is gone
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == 3 * 14 * 13 * 16
    assert not there(name)


def test_somebody_else_may_have_unlinked_it(name):
    block = SharedBlock(name, 4096)
    posix_ipc.unlink_shared_memory(f"/{name}")
    block.close()
    assert not there(name)


def test_name_that_is_taken(name):
    # given a segment, when another of its name is made
    with SharedBlock(name, 4096) as block:
        block.array(0, (1,), np.dtype(np.uint8))[0] = 1
        with pytest.raises(SharedMemoryError, match=name):
            SharedBlock(name, 4096)
        # then the first is still there
        assert there(name)
        assert block.array(0, (1,), np.dtype(np.uint8))[0] == 1


@linux_only
def test_more_than_the_machine_has(name):
    # given the handles of this process, when a segment is asked for that is larger than /dev/shm
    before = len(os.listdir("/dev/fd"))
    total = os.statvfs("/dev/shm")
    with pytest.raises(SharedMemoryError) as caught:
        SharedBlock(name, total.f_blocks * total.f_frsize + (1 << 20))
    # then it is an error, not a signal at the first touch, that says what to do
    advice = str(caught.value)
    assert re.search(r"/dev/shm has [\d,]+ bytes free", advice)
    for word in ("workers.memory", "workers.processes", "--shm-size", "shm sweep"):
        assert word in advice
    assert isinstance(caught.value, CvbatchError)
    assert isinstance(caught.value, OSError)
    # and nothing is left of it
    assert not there(name)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("nbytes", [0, 1 << 62, 1 << 63, 1 << 70])
def test_impossible_sizes(name, nbytes):
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(SharedMemoryError):
        SharedBlock(name, nbytes)
    assert not there(name)
    assert len(os.listdir("/dev/fd")) == before


@linux_only
def test_pages_exist_before_the_first_touch(name):
    # given a segment that nobody has written to
    with SharedBlock(name, 1 << 20):
        # then it already takes its room
        assert os.stat(f"/dev/shm/{name}").st_blocks * 512 >= 1 << 20


def test_handle_is_not_inherited(name):
    # given handles before and after
    before = set(os.listdir("/dev/fd"))
    with SharedBlock(name, 4096):
        made = set(os.listdir("/dev/fd")) - before
        # then a program that is started meanwhile neither keeps the segment nor its owner's lock
        for handle in made:
            try:
                assert not os.get_inheritable(int(handle))
            except OSError:  # The handle of listdir itself.
                continue


@pytest.mark.parametrize("job", ["0123456789abcdef0123456789abcdef", "a", "0" * 64])
@pytest.mark.parametrize("serial", [0, 9, 999_999_999])
def test_names_are_short_enough_for_macos(job, serial, monkeypatch):
    # given the largest pid that Linux has
    monkeypatch.setattr(os, "getpid", lambda: 4_194_304)
    made = segment_name(job, serial)
    assert made.startswith(PREFIX)
    assert len(made) <= LONGEST_NAME == 30
    assert "4194304" in made


def test_name_that_would_be_too_long(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 4_194_304)
    with pytest.raises(SharedMemoryError, match="30 characters"):
        segment_name("01234567", 10**12)


@linux_only
def test_available_bytes():
    stat = os.statvfs("/dev/shm")
    found = available_bytes()
    assert found is not None
    assert 0 < found <= stat.f_blocks * stat.f_frsize
