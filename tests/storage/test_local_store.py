"""What only ``file://`` promises: names, permissions, temporaries, and what errors mean."""

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cvbatch.errors import ForbiddenError, StorageError
from cvbatch.storage import Blob, open_store
from cvbatch.storage.local import PARTIAL, LocalStore

EXTENSIONS = [("gzip", ".gz"), ("br", ".br"), ("zstd", ".zstd"), ("xz", ".xz"), ("bzip2", ".bz2"), ("", "")]


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(str(tmp_path))


def names(folder: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def run_child(script: str, *arguments: object) -> str:
    """Run a script in a fresh process, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def child(script: str, *arguments: object):
    """A script in a process of its own that is killed at the end if it isn't already."""
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- names


@pytest.mark.parametrize(("encoding", "extension"), EXTENSIONS)
def test_encoding_is_the_extension(store, tmp_path, encoding, extension):
    # when an object is put
    store.put("4_4_40/0-64_0-64_0-64", Blob(b"x", encoding))
    # then there is one file, named as CloudVolume names it
    assert names(tmp_path) == [f"4_4_40/0-64_0-64_0-64{extension}"]


@pytest.mark.parametrize(("encoding", "extension"), EXTENSIONS)
def test_files_of_other_programs_are_read(store, tmp_path, encoding, extension):
    # given a file that another program wrote
    (tmp_path / "4_4_40").mkdir()
    (tmp_path / f"4_4_40/0-64_0-64_0-64{extension}").write_bytes(b"theirs")
    # then
    assert store.get("4_4_40/0-64_0-64_0-64") == Blob(b"theirs", encoding)
    assert store.exists("4_4_40/0-64_0-64_0-64")
    assert list(store.list("4_4_40/")) == ["4_4_40/0-64_0-64_0-64"]
    store.delete("4_4_40/0-64_0-64_0-64")
    assert names(tmp_path) == []


@pytest.mark.parametrize(("encoding", "extension"), EXTENSIONS)
def test_siblings_with_another_extension_are_removed(store, tmp_path, encoding, extension):
    # given one chunk in all encodings, as several programs may have left it, and a neighbour
    for _, old in EXTENSIONS:
        (tmp_path / f"0-64_0-64_0-64{old}").write_bytes(b"old")
        (tmp_path / f"64-128_0-64_0-64{old}").write_bytes(b"neighbour")
    # when it is put
    store.put("0-64_0-64_0-64", Blob(b"new", encoding))
    # then it is there once, and the neighbour as before
    assert [n for n in names(tmp_path) if n.startswith("0-64")] == [f"0-64_0-64_0-64{extension}"]
    assert store.get("0-64_0-64_0-64") == Blob(b"new", encoding)
    assert len([n for n in names(tmp_path) if n.startswith("64-128")]) == len(EXTENSIONS)


def test_one_object_in_two_encodings_is_deleted_whole(store, tmp_path):
    for extension in ("", ".gz", ".br"):
        (tmp_path / f"a{extension}").write_bytes(b"x")
    store.delete("a")
    assert names(tmp_path) == []
    assert store.get("a") is None


def test_folders_are_made_as_needed(store, tmp_path):
    store.put("a/b/c", Blob(b"x"))
    store.create("d/e/f", b"y")
    assert names(tmp_path) == ["a/b/c", "d/e/f"]


# --- whole or not there


def test_temporary_is_whole_and_beside_its_name_before_it_is_renamed(store, tmp_path, monkeypatch):
    # given an observer of renames
    seen = []

    def rename(old, new, rename=os.rename):
        seen.append((old, new, Path(old).read_bytes(), os.path.exists(new)))
        rename(old, new)

    monkeypatch.setattr(os, "rename", rename)
    # when an object is put
    store.put("4_4_40/chunk", Blob(b"whole", "gzip"))
    # then its bytes were complete, hidden, in the same folder, before it had its name
    [(old, new, data, was_there)] = seen
    assert new == f"{tmp_path}/4_4_40/chunk.gz"
    assert os.path.dirname(old) == os.path.dirname(new)
    assert os.path.basename(old).startswith(".")
    assert old.endswith(PARTIAL)
    assert data == b"whole"
    assert not was_there
    assert names(tmp_path) == ["4_4_40/chunk.gz"]


def test_temporaries_are_for_this_user_only(store, monkeypatch):
    # given a umask that lets everybody read, and an observer of the files written to
    modes = []

    def write(handle, data, write=os.write):
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return write(handle, data)

    before = os.umask(0)
    try:
        store = LocalStore(store.url.removeprefix("file://"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            store.put("a", Blob(b"secret"))
            store.create("b", b"secret")
    finally:
        os.umask(before)
    # then while there was something to read nobody else could
    assert modes
    assert set(modes) == {0o600}


@pytest.mark.parametrize("at_a_time", [1, 7])
def test_short_writes_and_reads_are_continued(store, tmp_path, monkeypatch, at_a_time):
    # given a system that takes and gives a few bytes at a time
    data = bytes(range(100))

    def write(handle, rest, write=os.write):
        return write(handle, rest[:at_a_time])

    def read(handle, nbytes, read=os.read):
        return read(handle, min(nbytes, at_a_time))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        patch.setattr(os, "read", read)
        store.put("a", Blob(data))
        found = store.get("a")
    # then nothing is lost
    assert found == Blob(data)
    assert (tmp_path / "a").read_bytes() == data


WRITE_IN_A_LOOP = """
import sys
from cvbatch.storage.local import Blob, LocalStore
store, versions = LocalStore(sys.argv[1]), [bytes([i]) * (8 << 20) for i in range(4)]
for i in range(10**9):
    store.put(f"{i % 3}", Blob(versions[i % 4], "gzip" if i % 3 else ""))
    print(i, flush=True)
"""


def test_killed_writers_leave_whole_files(tmp_path):
    store = LocalStore(str(tmp_path))
    for puts in (1, 2, 3, 5, 8):
        # given a process that writes big files in a loop, when it is killed in the middle of one
        with child(WRITE_IN_A_LOOP, tmp_path) as writer:
            for _ in range(puts):
                writer.stdout.readline()
            writer.kill()
        # then what has a final name is whole
        for key in store.list():
            data = bytes(store.get(key).data)
            assert len(data) == 8 << 20
            assert data == data[:1] * len(data)
        # and the rest is known for what it is
        assert all(name.endswith(PARTIAL) for name in names(tmp_path) if not name[0].isdigit())
        assert store.sweep() <= 1
        assert all(name[0].isdigit() for name in names(tmp_path))


STOP_IN_THE_MIDDLE = """
import os, sys
from cvbatch.storage.local import Blob, LocalStore
def write(handle, data, write=os.write):
    write(handle, data[: len(data) // 2])
    os.write = original
    print("half", flush=True)
    sys.stdin.read()
original, store = os.write, LocalStore(sys.argv[1])
os.write = write
store.put("4_4_40/chunk", Blob(b"new" * 1000))
"""


@contextlib.contextmanager
def writer_in_the_middle(root: Path):
    """A process that has written half of ``4_4_40/chunk`` and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOP_IN_THE_MIDDLE, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"half\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_half_written_object_is_not_there(store, tmp_path):
    # given a process in the middle of writing a chunk that was there before
    store.put("4_4_40/chunk", Blob(b"old"))
    with writer_in_the_middle(tmp_path):
        # then readers see the old one
        assert store.get("4_4_40/chunk") == Blob(b"old")
        assert list(store.list()) == ["4_4_40/chunk"]
        [partial] = [name for name in names(tmp_path) if name.endswith(PARTIAL)]
        assert stat.S_IMODE((tmp_path / partial).stat().st_mode) == 0o600
    # and also when it was killed
    assert store.get("4_4_40/chunk") == Blob(b"old")
    assert list(store.list()) == ["4_4_40/chunk"]


def test_sweep_removes_what_the_dead_left_and_not_what_the_living_write(store, tmp_path):
    # given a writer in the middle of a file
    with writer_in_the_middle(tmp_path):
        # then it is left alone while it lives
        assert store.sweep() == 0
        assert len(names(tmp_path)) == 1
    # when it is dead, then its file is removed, once
    assert store.sweep() == 1
    assert store.sweep() == 0
    assert names(tmp_path) == []


def test_sweep_removes_what_a_zombie_left(store, tmp_path):
    # given a writer that was killed, and whose parent has not yet asked for its end
    with writer_in_the_middle(tmp_path) as writer:
        writer.kill()
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
        # then it counts as dead
        assert store.sweep() == 1


def test_sweep_leaves_whole_objects_and_other_hosts(store, tmp_path):
    # given an object, a file that another machine may be writing, and one of a pid that cannot live
    store.put("a/object", Blob(b"x", "gzip"))
    theirs = tmp_path / f"a/.chunk.elsewhere.1.0{PARTIAL}"
    theirs.write_bytes(b"half")
    host = socket.gethostname().replace(".", "-")
    (tmp_path / f"a/.chunk.{host}.{2**22 + 1}.0{PARTIAL}").write_bytes(b"half")
    # when swept
    assert store.sweep() == 1
    # then only the last is gone
    assert names(tmp_path) == [f"a/.chunk.elsewhere.1.0{PARTIAL}", "a/object.gz"]


@pytest.mark.parametrize("name", [f"mine{PARTIAL}", f".x.y.z{PARTIAL}", PARTIAL, f".chunk.HOST.notapid.0{PARTIAL}"])
def test_sweep_leaves_what_no_writer_of_ours_named(store, tmp_path, name):
    # given a file that ends like our temporaries and is not named like them
    name = name.replace("HOST", socket.gethostname().replace(".", "-"))
    (tmp_path / name).write_bytes(b"theirs")
    # then it is no reason to fail, and not ours to remove
    assert store.sweep() == 0
    assert names(tmp_path) == [name]


# --- permissions

PUT_WITH_UMASK = """
import os, sys
from cvbatch.storage.local import Blob, LocalStore
os.umask(int(sys.argv[2], 8))
store = LocalStore(sys.argv[1])
store.put("folder/put", Blob(b"x", "gzip"))
store.create("folder/created", b"x")
print(oct(os.umask(0)))
"""


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o000])
def test_final_files_follow_the_umask(tmp_path, umask):
    # when a process with some umask writes
    after = run_child(PUT_WITH_UMASK, tmp_path, f"{umask:o}")
    # then files have the permissions of any file that it makes, folders too, and the umask is as it was
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    file_mode = 0o666 & ~umask
    assert modes == {"folder": 0o777 & ~umask, "put.gz": file_mode, "created": file_mode}
    assert int(after, 8) == umask


OPEN_AT_ONCE = """
import contextlib, os, sys, threading
from cvbatch.storage.local import LocalStore
os.umask(0o022)
together, real = threading.Barrier(2), os.umask
def umask(mask):
    before = real(mask)
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(0.2)
    return before
os.umask = umask
stores = []
threads = [threading.Thread(target=lambda: stores.append(LocalStore(sys.argv[1]))) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for i, store in enumerate(stores):
    store.create(str(i), b"x")
print(oct(real(0)))
"""


def test_stores_opened_by_two_threads_leave_the_umask_alone(tmp_path):
    # given a process with umask 022, two threads of which open a store at the same time
    after = run_child(OPEN_AT_ONCE, tmp_path)
    # then both stores follow the umask, and it is as it was
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)] == [0o644, 0o644]
    assert int(after, 8) == 0o022


# --- absent, forbidden, failed


def test_file_in_place_of_a_folder_reads_as_absent(store, tmp_path):
    # given a file where the folder of a scale should be
    (tmp_path / "4_4_40").write_bytes(b"a file")
    # then there are no chunks in it
    assert store.get("4_4_40/0-64_0-64_0-64") is None
    assert store.get_range("4_4_40/0-64_0-64_0-64", 0, 1) is None
    assert not store.exists("4_4_40/0-64_0-64_0-64")
    store.delete("4_4_40/0-64_0-64_0-64")
    assert list(store.list("4_4_40/")) == []
    # and none can be put
    with pytest.raises(StorageError, match="4_4_40"):
        store.put("4_4_40/0-64_0-64_0-64", Blob(b"x"))
    with pytest.raises(StorageError, match="4_4_40"):
        store.create("4_4_40/0-64_0-64_0-64", b"x")
    assert names(tmp_path) == ["4_4_40"]


def test_store_below_a_file_is_empty(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    store = open_store(f"file://{tmp_path}/file")
    assert store.get("info") is None
    assert list(store.list()) == []


def test_folder_in_place_of_an_object_is_an_error(store, tmp_path):
    # given a folder where a chunk should be
    (tmp_path / "chunk/inside").mkdir(parents=True)
    # then it is neither read as a chunk nor as absent, and nothing is left behind by trying to write it
    assert not store.exists("chunk")
    with pytest.raises(StorageError, match="chunk"):
        store.get("chunk")
    with pytest.raises(StorageError, match="chunk"):
        store.put("chunk", Blob(b"x"))
    assert names(tmp_path) == []
    assert (tmp_path / "chunk/inside").is_dir()


def test_link_to_nowhere_is_absent(store, tmp_path):
    os.symlink(tmp_path / "nowhere", tmp_path / "chunk")
    assert store.get("chunk") is None
    assert not store.exists("chunk")


FORBIDDEN = """
import os, sys
from cvbatch.errors import ForbiddenError
from cvbatch.storage.local import Blob, LocalStore
if os.geteuid() == 0:
    os.seteuid(65534)
store = LocalStore(sys.argv[1])
calls = {
    "get": lambda: store.get("closed/chunk"),
    "get_range": lambda: store.get_range("closed/chunk", 0, 1),
    "exists": lambda: store.exists("closed/chunk"),
    "list": lambda: list(store.list("closed/")),
    "put": lambda: store.put("closed/chunk", Blob(b"x")),
    "create": lambda: store.create("closed/other", b"x"),
    "delete": lambda: store.delete("closed/chunk"),
    "get file": lambda: store.get("open/chunk"),
}
try:
    print(calls[sys.argv[2]]())
except ForbiddenError as error:
    print("forbidden", error.retryable, error)
"""


@pytest.fixture(scope="module")
def closed_place():
    """A folder with a chunk that nobody may look into, and one with a chunk that nobody may read.

    Not below tmp_path, which is closed to the user that root becomes here.
    """
    import shutil
    import tempfile

    root = Path(tempfile.mkdtemp(prefix="cvbatch-test-"))
    root.chmod(0o755)
    for name in ("closed", "open"):
        (root / name).mkdir()
        (root / name / "chunk").write_bytes(b"there")
    (root / "open/chunk").chmod(0)
    (root / "closed").chmod(0)
    yield root
    (root / "closed").chmod(0o700)
    shutil.rmtree(root)


@pytest.mark.parametrize("call", ["get", "get_range", "exists", "list", "put", "create", "delete", "get file"])
def test_forbidden_is_not_absent(closed_place, call):
    # when a user who may not asks for a chunk that is there
    printed = run_child(FORBIDDEN, closed_place, call)
    # then the answer says so with the path, and that trying again does not help
    assert printed.startswith("forbidden False")
    assert str(closed_place) in printed


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_refusals_are_forbidden(store, tmp_path, monkeypatch, code):
    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(ForbiddenError, match=f"{tmp_path}/a"):
            store.get("a")
        with pytest.raises(ForbiddenError, match=str(tmp_path)):
            store.put("a", Blob(b"x"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["write", "close", "rename"])
def test_failed_write_names_the_path_and_leaves_nothing(store, tmp_path, monkeypatch, code, call):
    # given a disk that is full or broken, noticed at one step or another
    def fail(*_args):
        raise OSError(code, os.strerror(code))

    def close_and_fail(handle, close=os.close):
        close(handle)
        fail()

    store.put("a", Blob(b"old"))
    # when an object is put
    with monkeypatch.context() as patch:
        patch.setattr(os, call, close_and_fail if call == "close" else fail)
        with pytest.raises(StorageError, match=f"{tmp_path}/a") as caught:
            store.put("a", Blob(b"new"))
    # then trying again may help, the cause is kept, and what was there is still there
    assert caught.value.retryable
    assert not isinstance(caught.value, ForbiddenError)
    assert caught.value.__cause__.errno == code
    assert names(tmp_path) == ["a"]
    assert store.get("a") == Blob(b"old")


LIMITED = """
import resource, sys
from cvbatch.errors import StorageError
from cvbatch.storage.local import Blob, LocalStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = LocalStore(sys.argv[1])
for call in (lambda: store.put("big", Blob(bytes(5000))), lambda: store.create("big", bytes(5000))):
    try:
        call()
    except StorageError as error:
        print(error)
"""


def test_file_that_grows_too_large(tmp_path):
    # given a process that may write 1000 bytes a file, when it puts 5000
    printed = run_child(LIMITED, tmp_path)
    # then it hears of it, with the path, and there is no short file
    assert printed.count(f"{tmp_path}/big") == 2
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_failed_read_is_not_absent(store, tmp_path, monkeypatch, code):
    # given a chunk on a disk that fails
    store.put("a", Blob(b"x"))

    def fail(*_args):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        with pytest.raises(StorageError, match=f"{tmp_path}/a") as caught:
            store.get("a")
    assert caught.value.retryable


def test_no_handles_are_lost(store, tmp_path, monkeypatch):
    # given the open files of this process
    before = len(os.listdir("/dev/fd"))
    # when all kinds of calls succeed and fail
    (tmp_path / "folder").mkdir()
    for _ in range(10):
        store.put("a", Blob(b"x", "gzip"))
        store.get("a")
        store.get("absent")
        store.get_range("a", 0, 1)
        store.create("a", b"x")
        store.flush()
        for call in (lambda: store.get("folder"), lambda: store.put("folder", Blob(b"x"))):
            with pytest.raises(StorageError):
                call()
    # then there are as many as before
    assert len(os.listdir("/dev/fd")) == before


def test_handles_are_not_inherited(store, tmp_path, monkeypatch):
    # given an observer of opened files
    inheritable = []

    def record(path, flags, *rest, open_=os.open):
        handle = open_(path, flags, *rest)
        inheritable.append(os.get_inheritable(handle))
        return handle

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", record)
        store.put("a", Blob(b"x"))
        store.get("a")
    # then no process started meanwhile keeps them open
    assert inheritable
    assert not any(inheritable)


def test_flush_of_a_folder_that_is_gone(tmp_path):
    with pytest.raises(StorageError, match="gone"):
        LocalStore(f"{tmp_path}/gone").flush()
