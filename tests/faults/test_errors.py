"""Every error that cvbatch has: what brings it about, what it says, and how a command ends with it."""

import inspect
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from servers import canned_server, s3_error, save_s3_keys
from volumes import noise, write_volume

import cvbatch
from cvbatch import CloudVolume, errors, run
from cvbatch.cli.main import cvbatch as command
from cvbatch.cli.main import exit_status
from cvbatch.codecs import array_codec
from cvbatch.queues import Message
from cvbatch.runtime.lock import acquire
from cvbatch.runtime.prepare import prepare_destination
from cvbatch.runtime.stop import StopFlag
from cvbatch.storage import Blob, open_store

SIZE = (32, 32, 16)
# Which are raised in the shape of what is below them only.
BASES = {errors.CvbatchError, errors.ChunkError, errors.EmptyRequestException}


@dataclass
class Place:
    """A folder with the volume ``a``, and what else the triggers need."""

    folder: Path
    patch: pytest.MonkeyPatch
    request: pytest.FixtureRequest

    def url(self, name: str) -> str:
        return f"file://{self.folder}/{name}"

    def job(self, **keys) -> dict:
        defaults = {"job": "transfer", "source": self.url("a"), "destination": self.url("b")}
        return {**defaults, "workers": {"processes": 1}, **keys}

    def command(self, *words: str, **keys) -> None:
        """Run a command on a job, in this process."""
        path = self.folder / "job.json"
        path.write_text(json.dumps(self.job(**keys)))
        command.main([word.replace("CONFIG", str(path)) for word in words], standalone_mode=False)

    def info(self, name: str, **members) -> None:
        path = self.folder / name / "info"
        path.parent.mkdir(exist_ok=True)
        known = json.loads((self.folder / "a/info").read_text())
        path.write_text(json.dumps({**known, **members}))

    def volume(self, **options) -> CloudVolume:
        return CloudVolume(self.url("a"), **options)

    def chunk(self) -> Path:
        return next((self.folder / "a/4_4_40").iterdir())


@pytest.fixture
def place(tmp_path, monkeypatch, request):
    write_volume(f"file://{tmp_path}/a", noise(SIZE), compress="none")
    return Place(tmp_path, monkeypatch, request)


def too_many_redirects(place):
    for name, target in (("r1", "r2"), ("r2", "r3"), ("r3", "a")):
        place.info(name, redirect=place.url(target))
    CloudVolume(place.url("r1"), max_redirects=1)


def cyclic_redirect(place):
    place.info("r1", redirect=place.url("r2"))
    place.info("r2", redirect=place.url("r1"))
    CloudVolume(place.url("r1"))


def redirect_to_this_machine(place):
    with canned_server(200, json.dumps({"redirect": place.url("a")}).encode()) as url:
        CloudVolume(f"{url}/em")


def info_of_no_json(place):
    vol = place.volume()
    vol.info["extra"] = object()
    vol.commit_info()


def unaligned(place):
    place.volume()[1:20, 0:32, 0:16] = np.zeros((19, 32, 16, 1), np.uint8)


def mismatch(place):
    made = cvbatch.plan(place.job())
    scales = json.loads((place.folder / "a/info").read_text())["scales"]
    place.info("b", scales=[{**scales[0], "chunk_sizes": [[8, 8, 8]]}])
    prepare_destination(made)


def busy(place):
    acquire(cvbatch.plan(place.job(background=1)))
    place.command("run", "CONFIG")


def state_of_another(place):
    run(place.job(state=place.url("state")))
    place.command("run", "CONFIG", destination=place.url("c"), state=place.url("state"))


def missing(place):
    place.chunk().unlink()
    place.volume()[:]


def empty(place):
    place.chunk().write_bytes(b"")
    place.volume()[:]


def damaged(place):
    place.chunk().write_bytes(b"x")
    place.volume()[:]


def full(place):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    place.patch.setattr(os, "write", no_room)
    open_store(place.url("c")).put("x", Blob(b"x"))


def wrong_place(place):
    moto, secrets = (place.request.getfixturevalue(name) for name in ("moto", "secrets_folder"))
    save_s3_keys(secrets, moto)
    place.command("info", f"s3://{moto.url}/no-such-bucket-{os.getpid()}/em")


def forbidden(place):
    open_store(place.url("c")).delete("../x")


def unknown_caller(place):
    secrets = place.request.getfixturevalue("secrets_folder")
    with canned_server(403, s3_error("InvalidAccessKeyId", "no such key")) as url:
        save_s3_keys(secrets, type("Server", (), {"url": url, "key": "k", "secret": "s"})())
        place.command("info", f"s3://{url}/bucket/em")


def queue_fails(place):
    url = f"fq://{place.folder}/queue"
    command.main(["queue", "create", url], standalone_mode=False)

    def broken(*_):
        raise OSError(5, "Input/output error")

    place.patch.setattr(os, "scandir", broken)
    command.main(["queue", "status", url], standalone_mode=False)


def shared_memory_is_full(place):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    place.patch.setattr(os, "posix_fallocate", no_room)
    place.volume().download_to_shared_memory(place.volume().bounds, location=f"cvb-test-{os.getpid()}")


def shared_memory_is_gone(place):
    place.volume().upload_from_shared_memory(f"none-{os.getpid()}", place.volume().bounds)


def lock_taken(place):
    lock = acquire(cvbatch.plan(place.job()))
    found = json.loads(bytes(lock.store.get(lock.key).data))
    found["owner"]["pid"] = 1
    lock.store.put(lock.key, Blob(json.dumps(found).encode()))
    lock.renew()


def workers_die(place):
    from cvbatch.process import child

    def dies(arguments, inherited):
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])

    place.patch.setattr(child, "start_process", dies)
    place.command("run", "CONFIG")


def stopped(place):
    stop = StopFlag()
    stop.request()
    run(place.job(), stop=stop)


def message(text: str):
    return lambda place: Message.decode(text)


def encoding_error(place):
    array_codec("jpeg", {}).encode(np.zeros((1, 300, 300, 1), np.uint8))


def beyond(place):
    vol = place.volume(bounded=True)
    vol[0:99, 0:32, 0:16]


def delete(place):
    path = place.folder / "delete.json"
    path.write_text(json.dumps({"job": "delete", "source": place.url("a"), "mips": [0]}))
    command.main(["run", str(path)], standalone_mode=False)


def bad_provenance(place):
    run(place.job())
    (place.folder / "b/provenance").write_text("[")
    place.command("run", "CONFIG", background=1)


def compress_by_rar(place):
    place.volume(compress="rar")[:] = np.zeros((*SIZE, 1), np.uint8)


USAGE, FAILED, INTERRUPTED = 2, 1, 130
TABLE = [
    ("InputError", USAGE, "say --yes to delete", delete),
    ("ConfigError", USAGE, "job: ", lambda place: place.command("run", "CONFIG", job="dance")),
    ("InfoError", USAGE, "cannot be written as JSON", info_of_no_json),
    ("InfoUnavailableError", USAGE, "no volume at .*/none", lambda place: place.command("info", place.url("none"))),
    ("RedirectError", USAGE, "which is on this machine", redirect_to_this_machine),
    ("TooManyRedirects", USAGE, "more than max_redirects=1", too_many_redirects),
    ("CyclicRedirect", USAGE, "redirect to each other", cyclic_redirect),
    ("ProvenanceError", USAGE, "mend or remove it", bad_provenance),
    ("ScaleUnavailableError", USAGE, "no mip 7; there are 0", lambda place: place.volume(mip=7)),
    ("OutOfBoundsError", USAGE, "leaves the volume|outside", beyond),
    ("SubvoxelVolumeError", USAGE, "no voxel", lambda place: place.volume()[5:5, 0:1, 0:1]),
    ("AlignmentError", USAGE, "non_aligned_writes", unaligned),
    ("DimensionError", USAGE, "x, y, z", lambda place: CloudVolume.from_numpy(np.zeros((4, 4)), place.url("c"))),
    ("DestinationMismatchError", USAGE, "changed since the job was made", mismatch),
    ("MemoryBudgetError", USAGE, "needs", lambda place: place.command("run", "CONFIG", workers={"memory": 1000})),
    ("UnsupportedFormatError", USAGE, "zarr volumes cannot", lambda place: place.command("info", "zarr://mem://a")),
    ("UnsupportedCompressionType", USAGE, "compress is 'rar'", compress_by_rar),
    ("UnsupportedProtocolError", USAGE, "no store for ftp://", lambda place: place.command("info", "ftp://a/b")),
    ("ReadOnlyException", USAGE, "can only be read", lambda place: open_store("http://127.0.0.1:9/a").delete("x")),
    ("SharedMemoryNameError", USAGE, "cannot name", lambda place: place.volume().unlink_shared_memory("a/b")),
    ("JobBusyError", USAGE, "has been writing to this region", busy),
    ("StateError", USAGE, "give this one a state of its own", state_of_another),
    ("EmptyVolumeException", FAILED, "is missing; to read", missing),
    ("EmptyFileException", FAILED, "has no bytes", empty),
    ("DecodingError", FAILED, "4_4_40/.* is damaged", damaged),
    ("EncodingError", FAILED, "jpeg ends at", encoding_error),
    ("StorageError", FAILED, "cannot write .*No space left", full),
    ("WrongPlaceError", FAILED, "there is no bucket", wrong_place),
    ("ForbiddenError", FAILED, "nothing is written or deleted there", forbidden),
    ("AuthenticationError", FAILED, "InvalidAccessKeyId", unknown_caller),
    ("QueueError", FAILED, "cannot look into fq://.*: Input/output error", queue_fails),
    ("QueueUnavailableError", USAGE, "cvbatch queue create", lambda place: place.command("work", "fq:///tmp/none/q")),
    ("MessageError", FAILED, "for another program", message('{"payload": [["os", "system"], [], {}, null]}')),
    ("UnreadableMessageError", FAILED, "not a message of any program", message("[")),
    ("SharedMemoryError", FAILED, "no room for .* --shm-size", shared_memory_is_full),
    ("SharedMemoryReadError", FAILED, "there is no shared memory", shared_memory_is_gone),
    ("LockLostError", FAILED, "another run took over", lock_taken),
    ("WorkerDiedError", FAILED, "died before they could start", workers_die),
    ("InterruptedRun", INTERRUPTED, "run the same again to go on", stopped),
]


@pytest.mark.parametrize(("name", "status", "said", "trigger"), TABLE, ids=[row[0] for row in TABLE])
def test_error(place, name, status, said, trigger):
    kind = getattr(errors, name)
    with pytest.raises(kind, match=said) as caught:
        trigger(place)
    # It is just this one, its words are for people, and a command that meets it ends as promised.
    assert type(caught.value) is kind
    assert str(caught.value)[0] not in "<{"
    assert exit_status(caught.value) == status


def test_the_table_has_all_errors():
    found = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.CvbatchError)}
    assert {getattr(errors, row[0]) for row in TABLE} | BASES == found
    assert not {getattr(errors, row[0]) for row in TABLE} & BASES


def test_bases_are_caught_with_what_is_below_them(place):
    assert issubclass(errors.EmptyVolumeException, errors.ChunkError)
    assert issubclass(errors.SubvoxelVolumeError, errors.EmptyRequestException)
    assert exit_status(errors.ChunkError("a chunk")) == FAILED
    assert exit_status(errors.EmptyRequestException("nothing")) == USAGE
    assert exit_status(errors.CvbatchError("something")) == FAILED
    assert exit_status(KeyboardInterrupt()) == INTERRUPTED


def test_real_commands_end_with_what_was_promised(place):
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", "info", place.url("none")], capture_output=True, check=False
    )
    assert done.returncode == USAGE
    place.chunk().unlink()
    path = place.folder / "job.json"
    path.write_text(json.dumps(place.job()))
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", "run", str(path)], capture_output=True, check=False
    )
    assert done.returncode == FAILED
    assert b"is missing" in done.stdout + done.stderr


def test_no_segment_is_left_where_there_was_no_room():
    assert not list(Path("/dev/shm").glob(f"cvb-test-{os.getpid()}*"))
