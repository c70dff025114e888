"""What somebody means ill with: paths that lead elsewhere, planted links, objects in YAML, names with slashes."""

import json
import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from chaos.commands import answer, config_file, cvbatch, until
from servers import canned_server
from volumes import make_scale, noise, read_volume, write_volume

from cvbatch import CloudVolume, load_config, run
from cvbatch.errors import (
    ConfigError,
    ForbiddenError,
    RedirectError,
    SharedMemoryNameError,
    StorageError,
    UnsupportedFormatError,
    UnsupportedProtocolError,
)
from cvbatch.formats.precomputed import open_chunks, read_info
from cvbatch.memory import Arena, SharedBlock
from cvbatch.metadata import Batch
from cvbatch.metadata.job import job_document
from cvbatch.queues import Message, open_queue
from cvbatch.storage import Blob, leaves, open_store, parse_location
from cvbatch.storage.local import LocalStore

SIZE = (32, 32, 16)


def tree(folder: Path) -> dict[str, bytes]:
    """All files, wherever they lie."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lead_out(info: Path, key: str) -> None:
    """Let the key of a volume's scale lead elsewhere."""
    document = json.loads(info.read_text())
    document["scales"][0]["key"] = key
    info.write_text(json.dumps(document))


@pytest.fixture
def places(tmp_path):
    """A volume, and a neighbour of which one more volume says that its scale lies there."""
    voxels = noise(SIZE)
    write_volume(f"file://{tmp_path}/a", voxels)
    write_volume(f"file://{tmp_path}/victim", voxels)
    write_volume(f"file://{tmp_path}/trap", voxels)
    lead_out(tmp_path / "trap/info", "../victim/4_4_40")
    return tmp_path


def config(folder: Path, source: str, destination: str, **target) -> dict:
    return {
        "job": "transfer",
        "source": f"file://{folder}/{source}",
        "destination": {"path": f"file://{folder}/{destination}", **target},
        "workers": {"processes": 1},
    }


@pytest.mark.parametrize(
    ("key", "out"),
    [
        ("4_4_40/0-16", False),
        ("a/../b", False),
        ("a..b/..c", False),
        ("...", False),
        ("..", True),
        ("../x", True),
        ("/../x", True),
        ("a/../../x", True),
        ("a/b/../../../x", True),
        ("./../x", True),
        ("a//../..//x", True),
    ],
)
def test_which_keys_lead_out(key, out, tmp_path):
    assert leaves(key) == out
    # as the file system sees it
    assert (tmp_path.resolve() not in (tmp_path / key.lstrip("/") / "chunk").resolve().parents) == out


def test_a_scale_that_leads_out_is_read(places):
    # The format lets a scale lie beside its volume.
    np.testing.assert_array_equal(read_volume(f"file://{places}/trap"), read_volume(f"file://{places}/victim"))
    # A job may read it, too; what it makes has a key of its own.
    before = tree(places / "victim")
    assert run(config(places, "trap", "b")).complete
    np.testing.assert_array_equal(read_volume(f"file://{places}/b"), read_volume(f"file://{places}/victim"))
    assert tree(places / "victim") == before


def test_no_job_writes_outside_of_its_destination(places):
    # given a destination whose info says that a scale lies elsewhere
    before = tree(places)
    done = cvbatch("run", config_file(places / "job.yaml", **config(places, "a", "trap")))
    # then that is refused, before anything is changed
    assert done.returncode == 2, done.stderr
    assert "leads out of its volume" in done.stderr
    (places / "job.yaml").unlink()
    assert tree(places) == before


def test_no_job_deletes_outside_of_its_destination(places):
    before = tree(places)
    keys = {"job": "delete", "source": f"file://{places}/trap", "mips": [0]}
    done = cvbatch("run", config_file(places / "job.yaml", **keys), "--yes")
    assert done.returncode == 2, done.stderr
    assert "leads out of its volume" in done.stderr
    (places / "job.yaml").unlink()
    assert tree(places) == before


def test_the_library_changes_nothing_outside_of_a_volume(places):
    before = tree(places)
    vol = CloudVolume(f"file://{places}/trap", non_aligned_writes=True)
    np.testing.assert_array_equal(vol[:][..., 0], noise(SIZE))
    with pytest.raises(ForbiddenError, match="is outside of file://"):
        vol[:] = np.zeros(SIZE, np.uint8)
    with pytest.raises(ForbiddenError, match="is outside of file://"):
        vol.delete(vol.bounds)
    source = CloudVolume(f"file://{places}/a")
    with pytest.raises((ForbiddenError, UnsupportedFormatError)):
        source.transfer_to(f"file://{places}/trap", source.bounds)
    assert tree(places) == before


def test_reading_through_a_cache_writes_only_into_the_cache(places, tmp_path_factory):
    # given somebody else's volume, and a cache
    cache = tmp_path_factory.mktemp("home") / "cache"
    before = tree(places)
    vol = CloudVolume(f"file://{places}/trap", cache=str(cache))
    np.testing.assert_array_equal(vol[:][..., 0], noise(SIZE))
    # then its chunks are not kept beside it
    assert tree(places) == before
    assert {path.name for path in cache.parent.iterdir()} <= {"cache"}
    assert "victim" not in "".join(map(str, cache.rglob("*")))


@pytest.mark.parametrize("call", ["put", "create", "delete", "delete_all"])
def test_no_store_changes_what_is_outside_of_it(tmp_path, call):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/object").write_bytes(b"there")
    store = open_store(f"file://{tmp_path}/mine")
    arguments = {"put": [Blob(b"x")], "create": [b"x"]}.get(call, [])
    key = ["../other/object"] if call == "delete_all" else "../other/object"
    with pytest.raises(ForbiddenError, match="nothing is written or deleted there"):
        getattr(store, call)(key, *arguments)
    assert tree(tmp_path) == {"other/object": b"there"}


def test_a_bucket_has_no_keys_that_lead_out(moto, secrets_folder):
    from servers import make_bucket, save_s3_keys

    save_s3_keys(secrets_folder, moto)
    make_bucket(moto, bucket := f"people-{os.getpid()}")
    store = open_store(f"s3://{moto.url}/{bucket}/mine")
    for call in (lambda: store.put("../x", Blob(b"x")), lambda: store.delete("../x"), lambda: store.get("../x")):
        with pytest.raises(StorageError):
            call()
    assert list(open_store(f"s3://{moto.url}/{bucket}").list()) == []


@pytest.fixture
def queue(tmp_path):
    url = f"fq://{tmp_path}/queue"
    answer("queue", "create", url)
    return url


def worker_says(queue: str, *options: str) -> str:
    done = cvbatch("work", queue, "--processes", "1", "--max-seconds", "1.5", *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def forged(folder: Path, queue: str, change) -> None:
    """A job in a queue whose description was changed by somebody who can count its id anew."""
    from cvbatch import plan
    from cvbatch.metadata import Job

    found = plan(config(folder, "a", "b"))
    document = job_document(found.job, found.spec)
    change(document)
    job = Job.from_json(document["job"], document["reach"])
    document["id"] = job.id
    state = folder / "state"
    state.mkdir()
    (state / "job.json").write_text(json.dumps(document))
    open_queue(queue).send([Message(Batch(job.id, 0, 0, 1), parse_location(f"file://{state}")).encode()])


def test_a_worker_keeps_out_of_what_the_keys_of_scales_lead_to(places, queue):
    # given a job of two permitted volumes, with a scale of the source elsewhere
    forged(places, queue, lambda document: document["job"]["source"]["scale"].update(key="../victim/4_4_40"))
    before = tree(places / "victim")
    permitted = [f"--allow=file://{places}/{name}" for name in ("a", "b", "state")]
    said = worker_says(queue, *permitted)
    assert f"file://{places}/victim/4_4_40 is not below what --allow permits" in said
    assert tree(places / "victim") == before
    assert not (places / "b").exists()


def test_a_worker_writes_nothing_outside_of_a_destination(places, queue):
    # given a job that would write beside its destination, by way of a worker that may do anything
    forged(places, queue, lambda document: document["job"]["levels"][0]["scale"].update(key="../victim/4_4_40"))
    before = tree(places / "victim")
    assert "leads out of its volume" in worker_says(queue)
    assert tree(places / "victim") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["job"].update(translate=[0, 0]),
        lambda document: document["job"].update(destination=7),
        lambda document: document["job"].update(levels=[]),
        lambda document: document["job"]["levels"][0]["scale"].update(sharding=["x"]),
        lambda document: document["plan"]["passes"][0].update(task_shape=[0, 0, 0]),
        lambda document: document["plan"]["passes"][0].update(stop=9),
        lambda document: document["plan"]["passes"][0].update(picked=[10**9]),
        lambda document: document["plan"].update(memory="much"),
    ],
    ids=["translate", "destination", "levels", "sharding", "task_shape", "stop", "picked", "memory"],
)
def test_a_worker_survives_jobs_that_make_no_sense(places, queue, change):
    # given a job that somebody has put together badly, with the right id as far as there can be one
    assert run(config(places, "a", "b")).complete
    try:
        forged(places, queue, change)
    except Exception:
        state = places / "state"
        found = parse_location(f"file://{state}")
        from cvbatch import plan

        made = plan(config(places, "a", "b"))
        document = job_document(made.job, made.spec)
        change(document)
        state.mkdir(exist_ok=True)
        (state / "job.json").write_text(json.dumps(document))
        open_queue(queue).send([Message(Batch(made.job.id, 0, 0, 1), found).encode()])
    # then a worker hands it back, and goes on
    said = worker_says(queue)
    assert "Traceback" not in said
    assert any(word in said for word in ("cannot be understood", "its content is", "sample of tasks", "sharding"))


def test_a_message_cannot_name_a_file_outside_by_dots(places, queue):
    open_queue(queue).send([Message(Batch("x", 0, 0, 1), parse_location(f"file://{places}/a/../victim")).encode()])
    said = worker_says(queue, f"--allow=file://{places}/a")
    assert f"file://{places}/victim is not below" in said


def test_a_redirect_over_http_does_not_lead_to_this_machine(places):
    secret = f"file://{places}/victim"
    server = canned_server(200, json.dumps({"redirect": secret}).encode())
    with server as url, pytest.raises(RedirectError, match="which is on this machine"):
        CloudVolume(f"{url}/em", max_redirects=5)


@pytest.mark.parametrize("name", ["a/b", "../x", "/etc/passwd", ".", "..", "a\0b"])
def test_shared_memory_is_never_named_as_a_path(places, name):
    vol = CloudVolume(f"file://{places}/a")
    with pytest.raises(SharedMemoryNameError, match="cannot name shared memory"):
        vol.download_to_shared_memory(vol.bounds, location=name)
    with pytest.raises(SharedMemoryNameError):
        vol.unlink_shared_memory(name)


def test_a_link_where_a_temporary_file_goes_is_not_followed(tmp_path, monkeypatch):
    # given somebody who may write into the folder, and knows what the next temporary file is called
    victim = tmp_path / "victim"
    victim.write_text("precious")
    store = LocalStore(str(tmp_path / "volume"))
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(store, "_serial", iter([1, 2, 3, 4]))
    for number in (1, 3):
        (tmp_path / f"volume/.chunk.{store._writer}.{number}.cvbpart").symlink_to(victim)
    # then the write fails and leaves it, and the next one succeeds
    with pytest.raises(StorageError, match="File exists"):
        store.put("chunk", Blob(b"voxels"))
    store.put("chunk", Blob(b"voxels"))
    assert victim.read_text() == "precious"
    assert (tmp_path / "volume/chunk").read_bytes() == b"voxels"
    # nor is a link under the final name: it is replaced
    (tmp_path / "volume/linked").symlink_to(victim)
    store.put("linked", Blob(b"voxels"))
    assert victim.read_text() == "precious"
    assert not (tmp_path / "volume/linked").is_symlink()


@pytest.mark.parametrize(
    "text",
    [
        "job: !!python/object/apply:os.system ['touch hacked']",
        "!!python/object/new:subprocess.Popen [['touch', 'hacked']]",
        "job: transfer\nsource: !!python/name:os.system\ndestination: mem://b",
        "job: !!python/module:os",
    ],
)
def test_yaml_makes_no_objects(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(ConfigError, match="not YAML: could not determine a constructor"):
        load_config(tmp_path / "job.yaml")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(
            {"job": "transfer", "source": "mem://a"}, ["source=!!python/object/apply:os.system ['touch hacked']"]
        )
    assert not (tmp_path / "hacked").exists()


def test_what_is_private_and_what_is_not(tmp_path):
    # given a mask that leaves everybody everything
    before = os.umask(0)
    try:
        LocalStore(str(tmp_path / "v")).put("chunk", Blob(b"x"))
        # then a finished file follows the mask
        assert stat.S_IMODE((tmp_path / "v/chunk").stat().st_mode) == 0o666
        # and a segment of an arena is this user's, whatever the mask is
        with Arena("0123456789abcdef", 1 << 20) as arena:
            block = arena.take(4096)
            assert isinstance(block, SharedBlock)
            assert stat.S_IMODE(os.stat(f"/dev/shm/{block.name}").st_mode) == 0o600
    finally:
        os.umask(before)


def test_temporary_files_of_a_running_job_are_private(places):
    # given a worker that is stopped in the middle of a file, as soon as there is one
    slow = config(places, "a", "b", chunk_size=[8, 8, 8])
    path = config_file(places / "job.yaml", **slow)
    folder = places / "startup"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLEEPY)
    from chaos.commands import CVBATCH

    environment = {**os.environ, "PYTHONPATH": str(folder)}
    process = subprocess.Popen([*CVBATCH, "run", str(path), "--quiet"], env=environment)
    try:
        assert until(lambda: any(part.stat().st_size == 0 for part in parts(places)))
        assert {stat.S_IMODE(part.stat().st_mode) for part in parts(places)} == {0o600}
    finally:
        process.kill()
        process.wait()


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("b/4_4_40/.*.cvbpart"))


SLEEPY = """
import os, sys, time
if "cvbatch.pipeline.worker" in str(sys.orig_argv):
    write = os.write
    def slow(handle, data):
        if os.readlink(f"/proc/self/fd/{handle}").endswith(".cvbpart"):
            time.sleep(60)
        return write(handle, data)
    os.write = slow
"""


def test_urls_with_dots_and_passwords_are_refused():
    for url in ("s3://bucket/../other", "https://example.org/a/../b", "gs://bucket/./x"):
        with pytest.raises(UnsupportedProtocolError, match=r"no \. and \.\. in them"):
            parse_location(url)


def test_a_scale_of_dots_is_the_volume_itself(tmp_path):
    # given a key that leads nowhere else
    scale = make_scale(SIZE, key="x/../y")
    store = open_store(f"file://{tmp_path}/v")
    (tmp_path / "v/x").mkdir(parents=True)
    chunks = open_chunks(store, scale)
    cell = chunks.cell(scale.bounds)
    cell.write(next(iter(chunks.grid.indices(scale.bounds))), Blob(b"voxels"))
    assert (tmp_path / "v/y").is_dir()
    assert read_info(store) is None
