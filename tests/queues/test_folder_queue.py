"""Queues in folders: python-task-queue's layout and commands, names, clocks, and workers that die."""

import errno
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_contract import LONG, body, drain, number_of

import cvbatch.queues.folder as folder_module
from cvbatch.errors import QueueError, QueueUnavailableError
from cvbatch.queues import QueueCounts
from cvbatch.queues.folder import FolderQueue

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PTQ = os.path.join(os.path.dirname(sys.executable), "ptq")


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self):
        self.now = 1_800_000_000.25

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "queue"


@pytest.fixture
def queue(root, clock):
    """A queue whose time stands still."""
    queue = FolderQueue(str(root), clock)
    queue.create(30)
    return queue


@pytest.fixture
def real(root):
    """A queue whose time is that of other programs."""
    queue = FolderQueue(str(root))
    queue.create(30)
    return queue


def names(root) -> list[str]:
    return sorted(os.listdir(root / "queue"))


def moves(root, name) -> list[str]:
    """The names that a message had."""
    ident = re.fullmatch(rf"[0-9]+--({UUID})\.json", name)[1]
    return (root / "movement" / ident).read_text().splitlines()


@pytest.fixture
def ptq(tmp_path):
    """Runs a command of python-task-queue; gives what it printed."""

    def run(*arguments):
        # It makes folders in the home directory.
        environment = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(
            [PTQ, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


# The layout


def test_files_are_those_of_python_task_queue(queue, root):
    # given a message that is held, one for later, and one that waits
    queue.send([body(1)])
    held = queue.receive(10)
    queue.send([body(2)], delay_seconds=20)
    queue.send([body(3)])
    # then their names say from when on they can be leased
    assert [int(name.partition("--")[0]) for name in names(root)] == [0, 1_800_000_011, 1_800_000_021]
    for name in names(root):
        # and the document has the id
        ident = re.fullmatch(rf"[0-9]+--({UUID})\.json", name)[1]
        document = json.loads((root / "queue" / name).read_text())
        assert document["id"] == ident
        assert document["payload"][0] == ["cvbatch", "run_batch"]
        # and the names it had are listed, the present one last
        assert moves(root, name)[-1] == name
    assert (root / "insertions").read_text() == "3"
    # when one is done, then nothing of it is left but a byte
    assert held.ack()
    assert len(names(root)) == len(os.listdir(root / "movement")) == 2
    assert (root / "completions").read_bytes() == b"\0"
    assert os.listdir(root / "incoming") == []


def test_commands_of_python_task_queue(real, root, ptq, tmp_path):
    # given messages, of which some are held and one is done
    real.send(body(number) for number in range(10))
    held = [real.receive(600) for _ in range(4)]
    assert held[0].ack()
    # then it counts as we do
    lines = ptq("status", f"fq://{root}").splitlines()
    assert [line.split(" (")[0] for line in lines] == ["Inserted: 10", "Enqueued: 9", "Completed: 1", "Leased: 3"]
    # when it copies the queue, then the copy is one of ours
    ptq("cp", f"fq://{root}", f"fq://{tmp_path}/copy")
    assert sorted(drain(FolderQueue(f"{tmp_path}/copy"))) == sorted({*range(10)} - {number_of(held[0])})
    # when it ends the leases, then the messages can be received, and are not ours any more
    ptq("release", f"fq://{root}")
    assert real.counts() == QueueCounts(9, 0)
    assert not held[1].ack()
    assert not held[2].extend(60)
    assert not held[3].release()
    # when it moves them, then they are all there, and none is left
    ptq("mv", f"fq://{root}", f"fq://{tmp_path}/moved")
    assert real.counts() == QueueCounts(0, 0)
    assert sorted(drain(FolderQueue(f"{tmp_path}/moved"))) == sorted({*range(10)} - {number_of(held[0])})


def test_queue_that_python_task_queue_made(root, clock):
    # given a queue as it makes one, which lacks a folder
    (root / "queue").mkdir(parents=True)
    (root / "movement").mkdir()
    queue = FolderQueue(str(root), clock)
    queue.send([body(1), body(2)])
    assert sorted(drain(queue)) == [1, 2]


@pytest.mark.parametrize(
    "name",
    [
        "1--2--3.json",
        "1.5--id.json",
        "-5--id.json",
        "--id.json",
        "1-id.json",
        "1--id.json.cvbpart",
        "1--.json",
        "notes.txt",
        ".nfs000000001--id.json",
        "١--id.json",
        "1--id.json\n",
    ],
)
def test_other_files_are_left_alone(queue, root, name):
    (root / "queue" / name).write_text("{}")
    queue.send([body(1)])
    assert queue.counts() == QueueCounts(1, 0)
    queue.release_all()
    assert drain(queue) == [1]
    assert names(root) == [name]


def test_message_appears_when_it_is_whole(queue, root, monkeypatch):
    # given a sender that dies before a message is on the disk
    def lost_power(_):
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(os, "fsync", lost_power)
    with pytest.raises(QueueError, match="gone"):
        queue.send([body(1)])
    monkeypatch.undo()
    # then nobody sees any of it
    assert names(root) == []
    assert queue.receive(LONG) is None
    # and what is left is removed with the rest
    assert os.listdir(root / "incoming") != []
    queue.purge()
    assert os.listdir(root / "incoming") == os.listdir(root / "movement") == []


def test_message_that_was_put_aside_can_be_read(queue, root):
    queue.send([body(1)])
    assert queue.receive(LONG).bury()
    (aside,) = (root / "unreadable").iterdir()
    assert json.loads(aside.read_text())["payload"][2] == {"number": 1}
    assert names(root) == os.listdir(root / "movement") == []


# Names and clocks


@given(st.floats(0, 4e9), st.floats(0, 1e6))
def test_lease_ends_not_sooner_than_asked_for(now, seconds):
    end = folder_module._end_of(now, seconds)
    # and whoever may lease it then gets another name
    assert now + seconds <= end <= now + seconds + 1
    assert folder_module._end_of(end, seconds) > end


def test_lease_of_a_fraction_of_a_second(queue, clock):
    queue.send([body(1)])
    held = queue.receive(0.1)
    clock.now += 0.1
    assert queue.receive(0.1) is None
    # when the second has ended
    clock.now += 0.7
    new = queue.receive(0.1)
    assert number_of(new) == 1
    assert not held.ack()
    assert new.ack()


def test_lease_that_nobody_took_over_goes_on(queue, clock):
    queue.send([body(1), body(2)])
    first, second = queue.receive(10), queue.receive(10)
    clock.now += 100
    assert first.ack()
    assert second.extend(10)
    assert queue.receive(10) is None
    assert second.ack()


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("call", ["ack", "extend", "release"])
def test_late_owner_in_the_same_second(queue, root, call, times):
    """A lease that an operator ends, and one that begins within the same second, would end at the same time."""
    queue.send([body(1)])
    late = []
    for _ in range(times):
        late.append(queue.receive(10))
        queue.release_all()
    new = queue.receive(10)
    before = names(root)
    # when the late owners go on
    for held in late:
        assert not getattr(held, call)(*([20] if call == "extend" else []))
    # then the new one still has it
    assert names(root) == before
    assert queue.receive(10) is None
    assert new.ack()


def test_extended_lease_meets_no_late_owner(queue, clock):
    # given a late owner whose lease would have ended in a while
    queue.send([body(1)])
    late = queue.receive(100)
    queue.release_all()
    # when another one extends a lease until that second
    new = queue.receive(10)
    clock.now += 90
    assert new.extend(10)
    # then they are still told apart
    assert not late.release()
    assert new.ack()


def test_message_of_which_nobody_knows_the_names(queue, root):
    # given a list that was lost with the power
    queue.send([body(1)])
    (root / "movement" / moves(root, names(root)[0])[0][3:-5]).unlink()
    # then the message can be received as others, and is listed again
    held = queue.receive(LONG)
    assert moves(root, names(root)[0]) == names(root)
    assert held.ack()
    assert os.listdir(root / "movement") == []


def test_nothing_is_left_of_a_lost_race(queue, root, clock):
    # given a worker that has seen a message, which another one has dealt with since
    other = FolderQueue(str(root), clock)
    queue.send([body(1), body(2)])
    first = other.receive(LONG)
    assert len(drain(queue)) == 1
    assert first.ack()
    # then it finds nothing, and leaves nothing
    assert other.receive(LONG) is None
    assert os.listdir(root / "movement") == names(root) == []


def test_machine_whose_clock_is_ahead(queue, root, clock):
    # given a machine whose clock is ahead by more than a lease
    queue.send([body(1)])
    held = queue.receive(10)
    ahead = FolderQueue(str(root), lambda: clock.now + 60)
    # then it takes over what is still held, and the work is done by one of both
    taken = ahead.receive(10)
    assert number_of(taken) == 1
    assert not held.ack()
    assert taken.ack()


# Many messages, many workers


def test_scans_are_shared_by_many_receives(queue, root, monkeypatch):
    # given more messages than a scan reads
    monkeypatch.setattr(folder_module, "SCANNED", 100)
    queue.send(body(number) for number in range(300))
    scans = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or scandir(path))
    # when all are received
    assert sorted(drain(queue)) == list(range(300))
    # then one scan was enough for many, and one more for the end
    assert len(scans) == 4


def test_workers_choose_different_messages(queue, root, clock):
    # given many workers that have seen the same messages
    queue.send(body(number) for number in range(500))
    workers = [FolderQueue(str(root), clock) for _ in range(20)]
    for worker in workers:
        worker.receive(LONG).release()
    # when each takes one, then few wanted one that was taken
    renames = []
    rename = os.rename
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", lambda *paths: renames.append(paths) or rename(*paths))
        taken = {number_of(worker.receive(LONG)) for worker in workers}
    assert len(taken) == 20
    assert len(renames) < 30


_WORKER = """
import json, os, sys, time
from cvbatch.queues.folder import FolderQueue
root, log, dies_at = sys.argv[1], open(sys.argv[2], "a"), int(sys.argv[3])
queue, count = FolderQueue(root), 0
while (held := queue.receive(1, 2.5)) is not None:
    count += 1
    if count == dies_at:
        os.kill(os.getpid(), 9)
    print(json.loads(held.body)["payload"][2]["number"], file=log, flush=True)
    time.sleep(0.002)
    held.ack()
"""


def test_processes_that_are_killed(real, root, tmp_path):
    # given more messages than the workers can handle before some of them are killed, with a message in their hands
    count = 400
    real.send(body(number) for number in range(count))
    logs = [tmp_path / f"log-{worker}" for worker in range(4)]
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, str(root), str(log), str(dies_at)])
        for log, dies_at in zip(logs, [20, 40, 0, 0], strict=True)
    ]
    try:
        # and one at any moment
        while not (logs[2].exists() and len(logs[2].read_text().split()) >= 25):
            time.sleep(0.001)
        workers[2].send_signal(signal.SIGKILL)
        statuses = [worker.wait(60) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    # then the one that is left has dealt with the rest, and theirs
    assert statuses == [-signal.SIGKILL, -signal.SIGKILL, -signal.SIGKILL, 0]
    handled = [int(number) for log in logs for number in log.read_text().split()]
    assert set(handled) == set(range(count))
    assert len(handled) <= count + 5
    assert real.counts() == QueueCounts(0, 0)
    assert names(root) == os.listdir(root / "movement") == []


def test_operators_release_while_threads_work(real):
    # given threads that work, and an operator who ends all leases again and again
    count, threads = 300, 4
    real.send(body(number) for number in range(count))
    handled = []

    def work():
        while (held := real.receive(30, 0.2)) is not None:
            number = number_of(held)
            held.extend(30)
            if held.ack():
                handled.append(number)

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work) for _ in range(threads)]
        while not all(worker.done() for worker in working):
            real.release_all()
        for worker in working:
            worker.result()
    # then each message was acknowledged by one of them
    assert sorted(handled) == list(range(count))
    assert real.counts() == QueueCounts(0, 0)


# Failures


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EACCES, QueueUnavailableError),
        (errno.EROFS, QueueUnavailableError),
        (errno.EIO, QueueError),
        (errno.ENOSPC, QueueError),
        (errno.ESTALE, QueueError),
    ],
)
@pytest.mark.parametrize("call", ["send", "receive", "extend", "ack", "bury", "release", "release_all", "purge"])
def test_folder_that_refuses(queue, monkeypatch, code, kind, call):
    # given a folder in which nothing can be changed any more
    queue.send([body(1), body(2)])
    held = queue.receive(LONG)

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    for function in ("rename", "unlink"):
        monkeypatch.setattr(os, function, refuse)
    calls = {
        "send": lambda: queue.send([body(3)]),
        "receive": lambda: queue.receive(LONG),
        "extend": lambda: held.extend(LONG),
        "ack": held.ack,
        "bury": held.bury,
        "release": held.release,
        "release_all": queue.release_all,
        "purge": queue.purge,
    }
    # then the error says where, and whether trying again can help
    with pytest.raises(QueueError, match=os.strerror(code)) as caught:
        calls[call]()
    assert type(caught.value) is kind
    assert caught.value.retryable == (kind is QueueError)
    assert queue.url in str(caught.value)
    # when it is well again, then nothing is lost
    monkeypatch.undo()
    assert held.ack()
    assert len(drain(queue)) == 1


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QueueError, match=re.escape(f"fq://{tmp_path}/file/queue")):
        FolderQueue(f"{tmp_path}/file/queue").create(30)


@pytest.mark.parametrize("content", ["", "12", "twelve"])
def test_number_that_is_only_shown(queue, root, content):
    (root / "insertions").write_text(content)
    queue.send([body(1), body(2)])
    assert (root / "insertions").read_text() == {"": "2", "12": "14"}.get(content, content)
    assert sorted(drain(queue)) == [1, 2]


_COUNTER = """
import sys
from cvbatch.queues.folder import _Files
files = _Files(sys.argv[1])
for _ in range(1000):
    files.count_insertions(1)
"""


def test_numbers_of_many_senders_add_up(queue, root):
    # given threads and processes that count at the same time
    other = subprocess.Popen([sys.executable, "-c", _COUNTER, str(root)])
    files = folder_module._Files(str(root))
    with ThreadPoolExecutor(4) as pool:
        threads = 0
        while other.poll() is None:
            for _ in pool.map(files.count_insertions, [1] * 100):
                threads += 1
    assert other.wait() == 0
    assert (root / "insertions").read_text() == str(1000 + threads)


def test_waiting_worker_scans_less_and_less_often(queue, monkeypatch):
    # given time that passes only while somebody sleeps
    slept = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(time, "sleep", slept.append)
    assert queue.receive(LONG, wait_seconds=30) is None
    assert sum(slept) == pytest.approx(30)
    assert 30 <= len(slept) <= 75
    assert max(slept) <= 1
    assert len(set(itertools.islice(slept, 1, 6))) == 5
