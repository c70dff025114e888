"""Jobs with worker processes on files: the same bytes, whatever happens on the way."""

import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from volumes import files, labels, noise, write_volume

from cvbatch import load_config, run
from cvbatch.errors import (
    InputError,
    InterruptedRun,
    JobBusyError,
    LockLostError,
    MemoryBudgetError,
    StateError,
    WorkerDiedError,
)
from cvbatch.events import TaskDone, TaskFailed, WorkerDied
from cvbatch.memory import list_segments, sweep_segments
from cvbatch.runtime.lock import acquire
from cvbatch.runtime.stop import StopFlag
from cvbatch.storage import Blob


@pytest.fixture
def volume(tmp_path):
    """A source with 64 chunks, and the files that an undisturbed transfer of it leaves."""
    write_volume(f"file://{tmp_path}/a", noise((128, 128, 64)), chunk_size=(32, 32, 16))
    run(config(tmp_path, "undisturbed"))
    return tmp_path


def config(folder: Path, name: str, **keys) -> dict:
    return {
        "job": "transfer",
        "source": f"file://{folder}/a",
        "destination": {"path": f"file://{folder}/{name}", "chunk_size": [16, 16, 8]},
        "downsample": {"mips": 2},
        "workers": {"processes": 2},
        **keys,
    }


def without_provenance(found: dict[str, bytes]) -> dict[str, bytes]:
    """Provenance says when and where to: the one file that may differ."""
    return {name: data for name, data in found.items() if name != "provenance"}


def same_files(folder: Path, name: str) -> bool:
    found, expected = without_provenance(files(folder / name)), without_provenance(files(folder / "undisturbed"))
    assert found.keys() == expected.keys()
    return found == expected


def no_segments_of(pid: int) -> bool:
    return all(segment.owner != pid for segment in list_segments())


def test_a_finished_job_does_nothing(volume):
    first = run(config(volume, "b"))
    stamps = {path: path.stat().st_mtime_ns for path in (volume / "b").rglob("*")}
    second = run(config(volume, "b"))
    assert first.complete
    assert second.tasks.done_before == second.tasks.total == first.tasks.total
    assert second.counts.chunks_read == second.counts.chunks_written == 0
    assert {path: path.stat().st_mtime_ns for path in (volume / "b").rglob("*")} == stamps
    assert same_files(volume, "b")


def test_the_number_of_processes_and_threads_changes_nothing(volume):
    for number, workers in enumerate([{"processes": 1}, {"processes": 3, "threads": 2}, {"memory": "70MiB"}]):
        run(config(volume, f"b{number}", workers=workers))
        assert same_files(volume, f"b{number}")


def test_a_dead_worker_is_replaced_and_named(volume):
    # given a run whose first worker to answer is killed
    events, killed = [], []

    def tell(event):
        events.append(event)
        if isinstance(event, TaskDone) and not killed:
            killed.append(kill_a_child_of(os.getpid()))

    report = run(config(volume, "b"), tell)
    # then all is done, and the log says who died of what
    assert report.complete
    assert same_files(volume, "b")
    deaths = [event for event in events if isinstance(event, WorkerDied)]
    assert [death.pid for death in deaths] == killed
    assert "SIGKILL" in deaths[0].cause
    assert no_segments_of(killed[0])


def kill_a_child_of(pid: int) -> int:
    """Kill a worker of a job; the pool of the library may have processes, too."""
    import psutil

    child = next(child for child in psutil.Process(pid).children() if "cvbatch.pipeline.worker" in child.cmdline())
    child.kill()
    return child.pid


def run_in_workers(code: str, folder: Path, monkeypatch) -> None:
    """Have Python run ``code`` in each process that is started from now on."""
    (folder / "startup").mkdir()
    (folder / "startup" / "sitecustomize.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder / "startup"))


def test_tasks_that_kill_their_worker_are_buried_and_the_rest_is_done(volume, monkeypatch):
    # given a decoder that dies of one chunk, as a C library might: a sitecustomize in the workers
    run_in_workers(POISON, volume, monkeypatch)
    events = []
    report = run(config(volume, "b", queue={"url": "local", "max_attempts": 2}), events.append)
    # then the task that reads it is given up, with the signal in its error, and others are not
    assert not report.complete
    assert report.tasks.failed == 1
    assert "SIGSEGV" in report.failures[0].error
    assert any(isinstance(event, TaskFailed) and event.buried for event in events)
    assert report.tasks.done + report.tasks.skipped + 1 == report.tasks.total


POISON = """
import os, signal
from cvbatch.storage.local import LocalStore
get = LocalStore.get
def poisoned(self, key):
    if "/a" in self.url and key.endswith("/0-32_0-32_0-16"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return get(self, key)
LocalStore.get = poisoned
"""


def test_a_chunk_of_which_a_decoder_dies_is_named(tmp_path, monkeypatch):
    # given a library that dies of the bytes of one chunk (which real ones do now and then, not each time)
    voxels = labels((64, 64, 16), "uint32")
    write_volume(f"file://{tmp_path}/a", voxels, "segmentation", "none", encoding="compresso")
    chunk = tmp_path / "a/4_4_40/16-32_0-16_0-8"
    make_deadly([chunk], tmp_path, monkeypatch)
    destination = {"path": f"file://{tmp_path}/b", "encoding": "raw"}
    report = run({"job": "transfer", "source": f"file://{tmp_path}/a", "destination": destination})
    # then its task is given up with its name, and the others are done
    (failure,) = report.failures
    assert "SIGABRT while it decoded" in failure.error
    assert "4_4_40/16-32_0-16_0-8, which is damaged" in failure.error
    assert report.tasks.done == report.tasks.total - 1


def make_deadly(chunks: list[Path], folder: Path, monkeypatch) -> None:
    """Have the decoder of the workers die of these chunks."""
    for chunk in chunks:
        chunk.write_bytes(chunk.read_bytes() + b"deadly")
    run_in_workers(FRAGILE, folder, monkeypatch)


FRAGILE = """
import os, compresso
decompress = compresso.decompress
compresso.decompress = lambda data: os.abort() if data.endswith(b"deadly") else decompress(data)
"""


def test_errors_that_pass_are_tried_again(volume, monkeypatch):
    # given a store that fails each worker once
    run_in_workers(FLAKY, volume, monkeypatch)
    report = run(config(volume, "b"))
    assert report.complete
    assert report.retries >= 1
    assert same_files(volume, "b")


FLAKY = """
from cvbatch.errors import StorageError
from cvbatch.storage.local import LocalStore
get, failed = LocalStore.get, []
def flaky(self, key):
    if not failed and "/a" in self.url and "0-32" in key:
        failed.append(key)
        raise StorageError("a cable was loose")
    return get(self, key)
LocalStore.get = flaky
"""


def stopping_after_a_task(requests: int):
    """A subscriber that asks a run to stop when the first task is done, and the flag with which it asks."""
    stop = StopFlag()

    def tell(event):
        if isinstance(event, TaskDone):
            stop.requests = requests

    return tell, stop


def test_asked_once_to_stop_it_finishes_what_it_began(volume):
    tell, stop = stopping_after_a_task(requests=1)
    with pytest.raises(InterruptedRun):
        run(config(volume, "b"), tell, stop)
    # then what was done has receipts, and the rest is done by the next run
    report = run(config(volume, "b"))
    assert report.complete
    assert report.tasks.done_before >= 1
    assert same_files(volume, "b")


def test_asked_twice_to_stop_it_ends_at_once(volume):
    tell, stop = stopping_after_a_task(requests=2)
    with pytest.raises(InterruptedRun):
        run(config(volume, "b"), tell, stop)
    assert run(config(volume, "b")).complete
    assert same_files(volume, "b")


SCRIPT = """
import json, sys
from cvbatch import run
run(json.loads(sys.argv[1]), tell=lambda event: print(type(event).__name__, flush=True))
"""


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    """A run in a program of its own, without a guard round its main part; it tells its events."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(config(folder, name))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_continued_gives_the_same_bytes(volume, seed):
    # given a run that is killed at a random moment
    moment = np.random.default_rng([seed, os.getpid()]).integers(0, 12)
    process = start(volume, "b")
    for _ in range(moment):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    # then no file with its final name is partial
    undisturbed = files(volume / "undisturbed")
    for name, data in files(volume / "b").items():
        assert name.endswith(".cvbpart") or name == "provenance" or data == undisturbed[name]
    # and the next run goes on at once, to the same bytes, without a trace of the first
    assert run(config(volume, "b")).complete
    assert same_files(volume, "b")
    sweep_segments()
    assert not [segment for segment in list_segments() if not segment.owned]


def test_receipts_cover_each_task_once(volume):
    run(config(volume, "b"))
    (state,) = [path for path in (volume / "b/.cvbatch").iterdir() if path.name != "locks"]
    ranges = sorted(tuple(map(int, path.stem.split("-"))) for path in (state / "receipts").iterdir())
    for (number, _, stop), (next_number, start, _) in itertools.pairwise(ranges):
        assert start == (stop if next_number == number else 0)


def test_two_runs_of_one_job_do_not_meet(volume):
    # given a run that has begun
    process = start(volume, "b")
    assert process.stdout.readline().strip() == "RunStarted"
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(JobBusyError, match=str(process.pid)):
            run(config(volume, "b"))
        # nor two jobs that write into the same chunks
        with pytest.raises(JobBusyError):
            run(config(volume, "b", background=3))
    finally:
        process.send_signal(signal.SIGCONT)
        process.stdout.read()
        process.stdout.close()
        assert process.wait() == 0
    assert same_files(volume, "b")


def test_a_state_directory_belongs_to_one_job(volume):
    state = f"file://{volume}/state"
    run(config(volume, "b", state=state))
    with pytest.raises(StateError, match="give this one a state of its own"):
        run(config(volume, "c", state=state))


def test_a_destination_that_was_removed_is_not_taken_for_done(volume):
    state = f"file://{volume}/state"
    run(config(volume, "b", state=state))
    shutil.rmtree(volume / "b")
    with pytest.raises(StateError, match="the volume was removed"):
        run(config(volume, "b", state=state))


def test_a_destination_that_cannot_be_written_to_is_an_input_error(volume):
    (volume / "file").write_text("not a folder")
    with pytest.raises(InputError, match="can't be written to"):
        run(config(volume, "file"))


def test_workers_that_only_die_end_the_run(volume, monkeypatch):
    run_in_workers("import os, sys\nif 'cvbatch' in str(sys.orig_argv): os._exit(3)", volume, monkeypatch)
    with pytest.raises(WorkerDiedError, match="ended with status 3"):
        run(config(volume, "b", queue={"url": "local", "max_attempts": 100}))


def test_the_kernel_killing_for_memory_is_told_apart(monkeypatch):
    # given a process that the kernel killed, as its count of such kills says
    from cvbatch.process import child

    process = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    monkeypatch.setattr(child, "oom_kills", lambda: 1)
    with tempfile.TemporaryFile() as notes:
        killed = child.Child(process, None, notes, oom_kills=0)
        words, starved = killed.cause_of_death()
        assert "memory ran out" in words
        assert starved


def test_whoever_gets_the_lock_later_goes_on_with_what_is_there(volume, monkeypatch):
    # given a run that has looked at the state, and another one that does a part before the first has the lock
    tell, stop = stopping_after_a_task(requests=1)
    other = config(volume, "b", workers={"processes": 8})
    others = []

    def later(plan, **how):
        if not others:
            others.append(plan)
            with pytest.raises(InterruptedRun):
                run(other, tell, stop)
        return acquire(plan, **how)

    monkeypatch.setattr(importlib.import_module("cvbatch.runtime.execute"), "acquire", later)
    report = run(config(volume, "b"))
    # then it takes up the tasks of the other one, which were cut for more processes
    assert report.complete
    assert report.tasks.done_before > 0
    assert same_files(volume, "b")


def test_receipts_without_their_job_mean_nothing(volume):
    run(config(volume, "b"))
    (state,) = [path for path in (volume / "b/.cvbatch").iterdir() if path.name != "locks"]
    (state / "job.json").unlink()
    with pytest.raises(StateError, match=r"receipts and no job\.json"):
        run(config(volume, "b"))


def test_a_lock_that_was_lost_is_not_released(volume):
    # given a run whose lock another one has taken over
    from cvbatch import plan

    lock = acquire(plan(config(volume, "b")))
    document = json.loads(lock.store.get(lock.key).data)
    taken = {**document, "owner": {**document["owner"], "pid": 1}}
    lock.store.put(lock.key, Blob(json.dumps(taken).encode()))
    with pytest.raises(LockLostError):
        lock.renew()
    lock.release()
    assert lock.store.exists(lock.key)


def test_locks_expire(volume):
    from cvbatch import plan

    first = acquire(plan(config(volume, "b")), clock=lambda: 1000.0)
    with pytest.raises(JobBusyError):
        acquire(plan(config(volume, "b")), clock=lambda: 1200.0)
    second = acquire(plan(config(volume, "b")), clock=lambda: 1301.0)
    assert first.key == second.key
    second.release()


def test_many_chunks_of_which_decoders_die_end_nothing_but_their_tasks(tmp_path, monkeypatch):
    # given more deadly chunks than there are processes, in a row
    write_volume(f"file://{tmp_path}/a", labels((64, 64, 64), "uint32"), "segmentation", "none", encoding="compresso")
    deadly = sorted((tmp_path / "a/4_4_40").glob("*_0-8"))[:12]
    make_deadly(deadly, tmp_path, monkeypatch)
    destination = {"path": f"file://{tmp_path}/b", "encoding": "raw", "chunk_size": [16, 16, 8]}
    retries = {"url": "local", "max_attempts": 2}
    report = run({"job": "transfer", "source": f"file://{tmp_path}/a", "destination": destination, "queue": retries})
    assert len(report.failures) == 12
    assert report.tasks.done == report.tasks.total - len(report.failures)


def test_a_job_keeps_how_it_was_cut(volume):
    from cvbatch import plan

    run(config(volume, "b"))
    assert plan(config(volume, "b", workers={"processes": 9})).spec == plan(config(volume, "b")).spec


def test_too_little_memory_is_told_before_anything_is_written(volume):
    with pytest.raises(MemoryBudgetError, match=r"needs [\d,]+"):
        run(config(volume, "b", workers={"memory": 1000}))
    assert not (volume / "b").exists()


def test_works_in_a_thread(volume):
    reports = []
    thread = threading.Thread(target=lambda: reports.append(run(load_config(config(volume, "b")))), daemon=True)
    thread.start()
    thread.join(60)
    assert reports[0].complete
    assert same_files(volume, "b")


def test_provenance_says_what_was_done(volume):
    report = run(config(volume, "b"))
    document = json.loads((volume / "b/provenance").read_text())
    assert [entry["method"]["job"] for entry in document["processing"]] == [report.job]
    assert document["sources"] == [f"file://{volume}/a"]


def test_the_report_adds_up(volume):
    report = run(config(volume, "b")).to_json()
    assert report["chunks"]["written"] == sum("_" in name and name.endswith(".gz") for name in files(volume / "b"))
    assert report["bytes"]["written"] == sum(
        len(data) for name, data in files(volume / "b").items() if name.endswith(".gz")
    )
    assert report["tasks"]["total"] == report["tasks"]["done"] > 1
    assert report["peak_memory_bytes"] > 0
    assert set(report["stages"]) == {"fetch", "decode", "paint", "downsample", "encode", "store"}


HUNGRY = """
from cvbatch.storage.local import LocalStore
get = LocalStore.get
def hungry(self, key):
    if "/a" in self.url and key.endswith("/0-32_0-32_0-16"):
        bytearray(b"x") * (1 << 30)
    return get(self, key)
LocalStore.get = hungry
"""
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def little_memory():
    """What to put before a command so that it has 400 MB, all its processes together."""
    group = MEMORY_GROUPS / f"cvbatch-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(400 << 20))
    except OSError:
        pytest.skip("no memory groups can be made here")
    yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    group.rmdir()


def test_a_task_that_needs_more_memory_than_there_is_is_tried_alone_and_given_up(volume, monkeypatch, little_memory):
    # given a task that wants a gigabyte, where there is less
    run_in_workers(HUNGRY, volume, monkeypatch)
    (volume / "job.json").write_text(json.dumps(config(volume, "b")))
    done = subprocess.run(
        [*little_memory, sys.executable, "-m", "cvbatch.cli.main", "run", str(volume / "job.json"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(volume / "startup")},
    )
    # then the kernel kills its worker twice, the second time with nothing else in it, and the rest is done
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    (failure,) = report["failures"]
    assert "by the kernel because memory ran out" in failure["error"]
    assert "its plan needs about" in failure["error"]
    assert done.stderr.count("another one takes its place") == 2
    assert report["tasks"]["done"] + report["tasks"]["skipped"] + 1 == report["tasks"]["total"]
