"""The cache on disk."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from library import SIZE, info_of, made
from volumes import noise

from cvbatch import Bbox, CloudVolume
from cvbatch.storage import Blob, open_store
from cvbatch.volume.cache import CachedStore, CacheSettings

CHUNKS = 3 * 4 * 3


@pytest.fixture
def voxels():
    return noise(SIZE, "uint8")


@pytest.fixture
def vol(tmp_path, voxels):
    made(tmp_path / "em", voxels, info_of(voxels, max_mip=1))
    return CloudVolume(str(tmp_path / "em"), cache=str(tmp_path / "cache"))


def test_where_it_is(vol, tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "file" / str(tmp_path / "em").lstrip("/")
    assert vol.cache.path == vol.cache_path == str(folder)
    vol[10:42, -20:-4, 5:13]
    assert (folder / "4_4_40" / "10-42_-20--4_5-13.gz").is_file()
    assert (folder / "info").is_file()
    monkeypatch.setenv("CLOUD_VOLUME_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert CloudVolume(vol.cloudpath, cache=True).cache.path.startswith(str(tmp_path / "elsewhere"))
    monkeypatch.delenv("CLOUD_VOLUME_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLOUD_VOLUME_DIR", raising=False)
    assert CloudVolume(vol.cloudpath, cache=True).cache.path.startswith(
        str(tmp_path / "home" / ".cloudvolume" / "cache")
    )


@pytest.mark.parametrize("parallel", [1, 2])
def test_what_was_read_once_is_read_from_there(vol, tmp_path, voxels, parallel):
    vol.parallel = parallel
    vol[:]
    for path in (tmp_path / "em" / "4_4_40").iterdir():
        path.unlink()
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    assert vol.exists(np.s_[10:42, -20:-4, 5:13]) == {"4_4_40/10-42_-20--4_5-13": False}


@pytest.mark.parametrize("parallel", [1, 2])
def test_what_is_written_replaces_it(vol, voxels, parallel):
    vol.parallel = parallel
    vol[:]
    vol[:] = voxels + np.uint8(1)
    np.testing.assert_array_equal(vol[:][..., 0], voxels + np.uint8(1))
    vol.delete(np.s_[10:42, -20:-4, 5:13])
    vol.fill_missing = True
    assert not vol[10:42, -20:-4, 5:13].any()


def test_looking_at_it(vol):
    assert vol.cache.enabled
    vol[10:74, -20:-4, 5:13]
    assert vol.cache.list() == ["10-42_-20--4_5-13.gz", "42-74_-20--4_5-13.gz"]
    assert (vol.cache.num_files(), vol.cache.num_files(all_mips=True)) == (2, [2, 0])
    size = sum(os.path.getsize(os.path.join(vol.cache.path, "4_4_40", name)) for name in vol.cache.list())
    assert (vol.cache.num_bytes(), vol.cache.num_bytes(all_mips=True)) == (size, [size, 0])
    assert vol.cache.list(mip=1) == []
    assert repr(vol.cache).startswith("CacheService(enabled=True")


def test_emptying_it(vol, tmp_path):
    vol[:]
    assert vol.cache.num_files() == CHUNKS
    vol.cache.flush(preserve=Bbox((10, -20, 5), (43, -4, 13)))
    assert vol.cache.list() == ["10-42_-20--4_5-13.gz", "42-74_-20--4_5-13.gz"]
    vol.cache.flush_region(np.s_[10:20, -20:-10, 5:6], mips=[1])
    assert vol.cache.num_files() == 2
    vol.cache.flush_region(np.s_[10:20, -20:-10, 5:6])
    assert vol.cache.list() == ["42-74_-20--4_5-13.gz"]
    vol.cache.flush()
    assert not os.path.exists(vol.cache.path)
    assert vol[:].any()


def test_turning_it_on_and_off(vol, tmp_path):
    vol.cache.enabled = False
    vol[:]
    assert vol.cache.num_files() == 0
    vol.cache.enabled = str(tmp_path / "second")
    vol[:]
    assert vol.cache.path.startswith(str(tmp_path / "second"))
    assert vol.cache.num_files() == CHUNKS
    vol.cache.path = str(tmp_path / "third")
    vol[10, 0, 5]
    assert os.listdir(tmp_path / "third" / "4_4_40") == ["10-42_-4-12_5-13.gz"]


@pytest.mark.parametrize(("compress", "extension"), [(None, ".gz"), (True, ".gz"), (False, "")])
def test_compression(vol, voxels, compress, extension):
    vol.cache.compress = compress
    vol[:]
    assert {os.path.splitext(name)[1] for name in vol.cache.list()} == {extension}
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_what_was_not_used_for_longest_makes_room(vol, voxels):
    vol[:]
    one = vol.cache.num_bytes() // CHUNKS
    vol.cache.flush()
    vol.cache.max_bytes = 8 * one
    # given a chunk that is looked at again and again
    for x, y, z in np.ndindex(3, 4, 3):
        vol[10, -20, 5]
        vol[10 + 32 * x, -20 + 16 * y, 5 + 8 * z]
        assert vol.cache.num_bytes() <= 8 * one
    assert "10-42_-20--4_5-13.gz" in vol.cache.list()
    np.testing.assert_array_equal(vol[:][..., 0], voxels)


def test_an_info_that_has_changed_is_announced(vol, tmp_path):
    other = CloudVolume(vol.cloudpath)
    other.info["extra"] = 1
    other.commit_info()
    with pytest.warns(UserWarning, match=r"info of .* is not the one of the cache.*flush"):
        again = CloudVolume(vol.cloudpath, cache=str(tmp_path / "cache"))
    assert again.info["extra"] == 1


def test_a_cache_that_cannot_be_written_is_done_without(vol, voxels, tmp_path, caplog):
    vol.cache.flush()
    (tmp_path / "cache" / "file").mkdir(parents=True, exist_ok=True)
    vol.cache.path = str(tmp_path / "a-file")
    (tmp_path / "a-file").write_text("in the way")
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    assert "cache in" in caplog.text


def test_a_partial_file_is_never_served(vol, voxels):
    # given what a writer that was killed leaves behind
    folder = os.path.join(vol.cache.path, "4_4_40")
    os.makedirs(folder)
    with open(os.path.join(folder, ".10-42_-20--4_5-13.gz.host.1.1.cvbpart"), "wb") as file:
        file.write(b"half")
    np.testing.assert_array_equal(vol[:][..., 0], voxels)
    assert vol.cache.num_files() == CHUNKS


class Slow:
    """A store in which a reader is overtaken by a writer, after it has read and before it returns."""

    def __init__(self, store, has_read, may_return):
        self._store, self._has_read, self._may_return = store, has_read, may_return
        self.url = store.url

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get(self, key):
        found = self._store.get(key)
        self._has_read.set()
        self._may_return.wait(timeout=30)
        return found


def test_a_reader_that_is_overtaken_does_not_keep_the_old_version(tmp_path):
    store, settings = open_store("mem://cache/overtaken"), CacheSettings(str(tmp_path / "cache"))
    store.put("key", Blob(b"old"))
    has_read, may_return = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        reading = threads.submit(CachedStore(Slow(store, has_read, may_return), settings).get, "key")
        has_read.wait(timeout=30)
        writing = threads.submit(CachedStore(store, settings).put, "key", Blob(b"new"))
        may_return.set()
        reading.result(timeout=30)
        writing.result(timeout=30)
    assert CachedStore(store, settings).get("key").data == b"new"


def test_many_processes_share_it(vol, tmp_path, voxels):
    program = """
    import sys
    from cvbatch import CloudVolume
    vol = CloudVolume(sys.argv[1], cache=sys.argv[2], cache_max_bytes=100_000)
    print(sum(int(vol[:].sum()) for _ in range(5)))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), vol.cloudpath, str(tmp_path / "shared")]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [int(reader.communicate(timeout=100)[0]) for reader in readers] == [5 * int(voxels.sum())] * 3
