"""Segments and files with a name that the user chose."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from library import SIZE, made
from segments import there
from volumes import noise

from cvbatch import Bbox, CloudVolume
from cvbatch.errors import (
    AlignmentError,
    EmptyVolumeException,
    OutOfBoundsError,
    SharedMemoryError,
    SharedMemoryNameError,
    SharedMemoryReadError,
)
from cvbatch.memory import named, named_segments, registry

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="segments are not files here")

# What the page about shared memory shows.
READ_IN_C = """
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

int main(int count, char **names) {
    const long nx = 70, ny = 50, nz = 20;            /* the shape, in voxels */
    int handle = shm_open(names[1], O_RDONLY, 0);
    const uint16_t *voxels = mmap(NULL, nx * ny * nz * sizeof *voxels, PROT_READ, MAP_SHARED, handle, 0);
    if (voxels == MAP_FAILED) return 1;
    printf("%d\\n", voxels[3 + nx * (5 + ny * 7)]);    /* x = 3, y = 5, z = 7: x runs fastest */
    return 0;
}
"""


@pytest.fixture
def voxels():
    return noise(SIZE, "uint16")


@pytest.fixture
def vol(tmp_path, voxels):
    return made(tmp_path / "em", voxels)


@pytest.fixture
def name():
    name = f"cvbatch-test-{os.getpid()}"
    yield name
    named.unlink_segment(name)


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """A registry of the test's own."""
    monkeypatch.setattr(registry, "_folder", lambda: tmp_path)


@pytest.mark.parametrize("parallel", [1, 2])
def test_plain_python_maps_the_segment_from_another_process(vol, voxels, name, parallel):
    vol.parallel = parallel
    array = vol.download_to_shared_memory(vol.bounds, location=name)
    np.testing.assert_array_equal(array[..., 0], voxels)
    program = f"""
    import numpy as np
    voxels = np.memmap("/dev/shm/{name}", np.uint16, "r", shape=(70, 50, 20), order="F")
    print(voxels[3, 5, 7], voxels.sum())
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(voxels[3, 5, 7]), str(voxels.sum())]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_c_program_maps_the_segment(vol, voxels, name, tmp_path):
    vol.download_to_shared_memory(np.s_[:], location=name)
    source, program = tmp_path / "read.c", tmp_path / "read"
    source.write_text(READ_IN_C)
    subprocess.run(["cc", "-o", str(program), str(source), "-lrt"], check=True)
    said = subprocess.run([str(program), f"/{name}"], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(voxels[3, 5, 7])]


def test_it_stays_when_the_array_is_gone_until_it_is_unlinked(vol, name):
    del_me = vol.download_to_shared_memory(np.s_[10:20, 0:10, 5:10], location=name)
    del del_me
    assert there(name)
    assert vol.unlink_shared_memory(name)
    assert not there(name)
    assert not vol.unlink_shared_memory(name)


def test_the_array_stays_when_the_name_is_gone(vol, voxels, name):
    array = vol.download_to_shared_memory(np.s_[:], location=name)
    vol.unlink_shared_memory(name)
    np.testing.assert_array_equal(array[..., 0], voxels)


def test_the_default_name(vol):
    first = vol.shared_memory_id
    vol.download_to_shared_memory(np.s_[10:20, 0:10, 5:10])
    assert there(first)
    assert vol.unlink_shared_memory()
    vol.shared_memory_id = vol.generate_shared_memory_location()
    assert vol.shared_memory_id != first
    assert not there(vol.shared_memory_id)


def test_two_processes_read_while_the_owner_lives(vol, voxels, name):
    array = vol.download_to_shared_memory(np.s_[:], location=name)
    program = f"import numpy as np; print(np.memmap('/dev/shm/{name}', np.uint16, 'r').sum())"
    readers = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [int(reader.communicate(timeout=60)[0]) for reader in readers] == [voxels.sum()] * 2
    assert array.sum() == voxels.sum()


def test_whose_segment_it_was_is_known_when_its_owner_has_crashed(vol, tmp_path, name, monkeypatch):
    program = """
    import os, sys
    from pathlib import Path
    from cvbatch import CloudVolume
    from cvbatch.memory import registry
    registry._folder = lambda: Path(sys.argv[2])
    vol = CloudVolume(sys.argv[1])
    vol.download_to_shared_memory(vol.bounds, location=sys.argv[3])
    print(os.getpid(), flush=True)
    os.abort()
    """
    arguments = [str(tmp_path / "em"), str(tmp_path), name]
    crashed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments], capture_output=True, text=True, check=False
    )
    [segment] = [each for each in named_segments() if each.name == name]
    assert (segment.owner, segment.owned) == (int(crashed.stdout), False)
    assert segment.nbytes == vol[:].nbytes
    vol.download_to_shared_memory(vol.bounds, location=name)
    [segment] = [each for each in named_segments() if each.name == name]
    assert (segment.owner, segment.owned) == (os.getpid(), True)


def test_a_segment_of_another_size_is_replaced_and_its_readers_keep_theirs(vol, voxels, name):
    large = vol.download_to_shared_memory(np.s_[:], location=name)
    small = vol.download_to_shared_memory(np.s_[10:20, 0:10, 5:10], location=name)
    assert os.stat(f"/dev/shm/{name}").st_size == small.nbytes
    np.testing.assert_array_equal(large[..., 0], voxels)


def test_an_error_leaves_no_segment(vol, tmp_path, name):
    (tmp_path / "em" / "4_4_40" / "42-74_-4-12_5-13.gz").unlink()
    with pytest.raises(EmptyVolumeException):
        vol.download_to_shared_memory(vol.bounds, location=name)
    assert not there(name)


@pytest.mark.parametrize("wrong", ["", "a/b", "..", "x" * 300])
def test_names_that_no_segment_can_have(vol, wrong):
    box = Bbox((10, -20, 5), (20, -10, 10))
    if wrong:
        with pytest.raises(SharedMemoryNameError, match=r"cannot name|names may have"):
            vol.download_to_shared_memory(box, location=wrong)
    with pytest.raises(SharedMemoryNameError):
        vol.upload_from_shared_memory(wrong, box)


def test_more_than_there_is_room_for(tmp_path, name):
    free = os.statvfs("/dev/shm")
    side = int((free.f_bavail * free.f_frsize * 2) ** (1 / 3)) + 64
    vol = CloudVolume(
        str(tmp_path / "huge"),
        info=CloudVolume.create_new_info(1, "image", "uint8", "raw", [1, 1, 1], [0, 0, 0], [side] * 3),
        bounded=False,
    )
    with pytest.raises(SharedMemoryError, match="bytes free"):
        vol.download_to_shared_memory(vol.bounds, location=name)
    assert not there(name)


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("order", ["F", "C"])
def test_upload_from_a_segment(vol, voxels, name, order, parallel):
    vol.parallel = parallel
    wanted = voxels + np.uint16(5)
    segment = np.memmap(f"/dev/shm/{name}", np.uint16, "w+", shape=SIZE, order=order)
    segment[...] = wanted
    vol.upload_from_shared_memory(name, vol.bounds, order=order)
    np.testing.assert_array_equal(vol[:][..., 0], wanted)


def test_upload_of_a_part_of_what_a_segment_holds(vol, voxels, name):
    array = vol.download_to_shared_memory(vol.bounds, location=name)
    array[...] = 9
    part = Bbox((42, -4, 5), (74, 12, 21))
    vol.upload_from_shared_memory(name, vol.bounds, cutout_bbox=part)
    wanted = voxels.copy()
    wanted[32:64, 16:32, 0:16] = 9
    np.testing.assert_array_equal(vol[:][..., 0], wanted)


def test_a_segment_may_hold_more_than_the_volume(vol, voxels, name):
    # given voxels of a box that begins before the volume does
    holds = Bbox((0, -20, 5), (42, -4, 13))
    segment = np.memmap(f"/dev/shm/{name}", np.uint16, "w+", shape=tuple(holds.size()), order="F")
    segment[...] = 3
    vol.upload_from_shared_memory(name, holds, cutout_bbox=Bbox((10, -20, 5), (42, -4, 13)))
    assert (vol[10:42, -20:-4, 5:13] == 3).all()


def test_segments_that_do_not_fit(vol, voxels, name):
    before = vol[:]
    vol.download_to_shared_memory(np.s_[10:20, 0:10, 5:10], location=name)
    with pytest.raises(SharedMemoryReadError, match="has 1,000 bytes"):
        vol.upload_from_shared_memory(name, vol.bounds)
    with pytest.raises(SharedMemoryReadError, match="there is no shared memory 'nobody-made-this'"):
        vol.upload_from_shared_memory("nobody-made-this", vol.bounds)
    with pytest.raises(AlignmentError, match="not inside"):
        vol.upload_from_shared_memory(name, Bbox((10, 0, 5), (20, 10, 10)), cutout_bbox=vol.bounds)
    with pytest.raises(OutOfBoundsError):
        vol.upload_from_shared_memory(name, Bbox((0, 0, 5), (10, 10, 10)))
    with pytest.raises(ValueError, match="order"):
        vol.upload_from_shared_memory(name, vol.bounds, order="Z")
    np.testing.assert_array_equal(vol[:], before)


def test_files(vol, voxels, tmp_path):
    path = str(tmp_path / "voxels.raw")
    vol.download_to_file(path, vol.bounds)
    np.testing.assert_array_equal(np.fromfile(path, np.uint16).reshape(SIZE, order="F"), voxels)
    (voxels + np.uint16(1)).ravel(order="F").tofile(path)
    vol.upload_from_file(path, vol.bounds)
    np.testing.assert_array_equal(vol[:][..., 0], voxels + np.uint16(1))


def test_files_that_do_not_fit(vol, tmp_path):
    with pytest.raises(SharedMemoryReadError, match="No such file"):
        vol.upload_from_file(str(tmp_path / "none"), vol.bounds)
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(SharedMemoryReadError, match="has 3 bytes"):
        vol.upload_from_file(str(tmp_path / "short"), vol.bounds)
    with pytest.raises(SharedMemoryError, match="cannot write"):
        vol.download_to_file(str(tmp_path / "no" / "folder"), vol.bounds)
