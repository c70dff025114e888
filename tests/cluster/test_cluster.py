"""Jobs that workers of a queue do, run as commands: from enqueue to the report, and through kills."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from servers import FaultProxy, make_bucket, save_s3_keys

from cvbatch import CloudVolume
from cvbatch.memory import list_segments
from cvbatch.queues import open_queue
from cvbatch.storage import open_store

SIZE = (256, 256, 64)
CVBATCH = [sys.executable, "-m", "cvbatch.cli.main"]


@pytest.fixture
def volume(tmp_path) -> np.ndarray:
    voxels = np.random.default_rng(5).integers(0, 255, SIZE, np.uint8) // 3
    path = f"file://{tmp_path}/em"
    return CloudVolume.from_numpy(voxels, vol_path=path, chunk_size=(32, 32, 32), layer_type="image")[:, :, :]


@pytest.fixture(params=["fq", "sqs"])
def queue(request, tmp_path, monkeypatch) -> dict:
    """A queue of each kind, as the configuration names it."""
    if request.param == "fq":
        place = {"url": f"fq://{tmp_path}/queue"}
    else:
        server = request.getfixturevalue("moto")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret)
        place = {"url": f"sqs://queue-{random.randrange(10**9)}", "endpoint": server.url, "region_name": "us-east-1"}
    command("queue", "create", place["url"], *endpoint(place))
    return place


def endpoint(queue: dict) -> list[str]:
    place = {"--endpoint": queue.get("endpoint"), "--region-name": queue.get("region_name")}
    return [word for pair in place.items() if pair[1] for word in pair]


def config_of(folder: Path, queue: dict, name: str = "out", **keys) -> Path:
    """A job in many small tasks."""
    path = folder / f"{name}.yaml"
    job = {
        "job": "transfer",
        "source": f"file://{folder}/em",
        "destination": {"path": f"file://{folder}/{name}", "encoding": "png"},
        "downsample": {"mips": 2},
        "workers": {"processes": 2, "memory": "256MiB"},
        "queue": {**queue, "max_attempts": 3},
    }
    path.write_text(yaml.safe_dump({**job, **keys}))
    return path


def command(*arguments, status: int = 0, timeout: float = 100) -> dict:
    done = subprocess.run(
        [*CVBATCH, *map(str, arguments), "--json"], capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == status, (done.returncode, done.stderr, done.stdout)
    return json.loads(done.stdout)


@contextmanager
def running(*arguments, **options):
    """A command that runs beside the test, and is killed at its end if it isn't gone."""
    process = subprocess.Popen([*CVBATCH, *map(str, arguments)], stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        if not process.stderr.closed:
            process.communicate()


def worker(queue: dict, *more):
    return ["work", queue["url"], *endpoint(queue), "--processes", "1", *more]


def expected_of(folder: Path, queue: dict) -> dict[str, bytes]:
    """What the job leaves when nothing disturbs it."""
    config = config_of(folder, {"url": "local"}, "undisturbed")
    command("run", config)
    return objects(folder / "undisturbed")


def objects(folder: Path) -> dict[str, bytes]:
    store = open_store(f"file://{folder}")
    keys = [key for key in store.list() if not key.startswith(".cvbatch/") and key != "provenance"]
    return {key: bytes(store.get(key).data) for key in keys}


def receipts(folder: Path) -> list[tuple[int, int, int]]:
    names = [path.stem.split("-") for path in folder.glob(".cvbatch/*/receipts/*.json")]
    return sorted(tuple(map(int, name)) for name in names)


def test_from_enqueue_to_the_report(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    # when the job is sent, twice
    first = command("run", config, "--detach")
    assert first["messages"] > 1
    assert command("enqueue", config) == {"messages": 0}
    counts = command("queue", "status", queue["url"], *endpoint(queue))
    assert counts["waiting"] == first["messages"]
    # and a worker works until it is done, and a coordinator finishes
    command(*worker(queue, "--exit-when-empty"))
    found = command("status", config)
    assert (found["tasks"]["done"], found["tasks"]["remaining"]) == (found["tasks"]["total"], 0)
    report = command("run", config)
    # then the volume is there, and its provenance says so
    assert report["tasks"]["done"] == report["tasks"]["total"]
    assert report["chunks"]["written"] > 128
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)
    assert "cvbatch transfer" in (tmp_path / "out/provenance").read_text()
    np.testing.assert_array_equal(CloudVolume(f"file://{tmp_path}/out")[:, :, :], volume)
    assert list((tmp_path / "out/.cvbatch/locks").iterdir()) == []
    # and again nothing is done
    again = command("run", config)
    assert again["tasks"]["done_before"] == again["tasks"]["total"]


def test_comparing_and_mending_by_the_workers_of_a_queue(volume, queue, tmp_path):
    # given a job that is done, of which a chunk was lost and another one's place taken
    config = config_of(tmp_path, queue)
    expected = expected_of(tmp_path, queue)
    with running(*worker(queue)):
        command("run", config)
        folder = tmp_path / "out" / "8_8_40"
        first, second, *_ = sorted(folder.iterdir())
        first.unlink()
        second.write_bytes(next((tmp_path / "out" / "4_4_40").iterdir()).read_bytes())
        # when workers compare, and run the bad tasks again
        found = command("verify", config, status=1)
        mended = command("verify", config, "--repair")
    # then both are named, and all is as it was
    names = {(each["chunk"], each["problem"]) for each in found["comparisons"][0]["findings"]}
    assert names == {(first.name.removesuffix(".gz"), "missing"), (second.name.removesuffix(".gz"), "differs")}
    assert mended["right"]
    assert len(mended["comparisons"][0]["repaired"]) == 2
    assert objects(tmp_path / "out") == expected


def test_workers_that_are_killed_and_replaced(volume, queue, tmp_path):
    # given a coordinator, and workers that are killed one after the other
    config, rng = config_of(tmp_path, queue), random.Random(3)
    with running("run", config, "--json", stdout=subprocess.PIPE) as coordinator:
        workers = []
        for _ in range(8):
            workers.append(start_worker(queue))
            if len(workers) > 2:
                victim = workers.pop(rng.randrange(len(workers)))
                victim.send_signal(signal.SIGKILL)
                victim.communicate()
            wait_for_work(tmp_path / "out", rng.random())
            if coordinator.poll() is not None:
                break
        # when those that are left may finish
        output, errors = coordinator.communicate(timeout=90)
        for each in workers:
            each.terminate()
        codes = [(each.communicate()[1], each.returncode) for each in workers]
    # then everything is there, once, and nothing is left behind
    assert coordinator.returncode == 0, errors
    assert json.loads(output)["tasks"]["failed"] == 0
    assert [code for _, code in codes] == [0] * len(codes), codes
    ranges = receipts(tmp_path / "out")
    numbers = [(number, index) for number, start, stop in ranges for index in range(start, stop)]
    assert len(numbers) == len(set(numbers)) == json.loads(output)["tasks"]["total"]
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)
    assert [segment for segment in list_segments() if not segment.owned] == []


def start_worker(queue: dict) -> subprocess.Popen:
    return subprocess.Popen([*CVBATCH, *worker(queue, "--lease-seconds", "3", "--grace", "5")], stderr=subprocess.PIPE)


def wait_for_work(folder: Path, share: float) -> None:
    """Wait until some more receipts have come, or a second has passed."""
    before, until = len(receipts(folder)), time.monotonic() + 0.5 + share
    while time.monotonic() < until and len(receipts(folder)) <= before + 1:
        time.sleep(0.02)


def test_a_frozen_worker_does_no_harm(volume, queue, tmp_path):
    # given a worker that is frozen with all its processes past its lease
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    lease = ("--lease-seconds", "1.5")
    with running(*worker(queue, *lease), start_new_session=True) as frozen:
        wait_until(lambda: receipts(tmp_path / "out"))
        os.killpg(frozen.pid, signal.SIGSTOP)
        # when another does the work
        command(*worker(queue, *lease, "--exit-when-done"))
        done = receipts(tmp_path / "out")
        os.killpg(frozen.pid, signal.SIGCONT)
        # then the first one notices that it has lost its batch
        frozen.terminate()
        _, errors = frozen.communicate(timeout=30)
        assert frozen.returncode == 0, errors
    assert receipts(tmp_path / "out") == done
    assert command("run", config)["tasks"]["failed"] == 0
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_is_told_to_end_hands_back(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    # given a worker that holds a batch for long
    with running(*worker(queue, "--lease-seconds", "1000", "--grace", "0")) as first:
        wait_until(lambda: receipts(tmp_path / "out"))
        first.terminate()
        _, errors = first.communicate(timeout=30)
        assert first.returncode == 0, errors
    # then another one can have everything at once
    command(*worker(queue, "--exit-when-empty"))
    assert command("run", config)["tasks"]["failed"] == 0


def test_a_coordinator_that_is_killed_and_started_again(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    with running("run", config) as first:
        wait_until(lambda: list((tmp_path / "out").glob(".cvbatch/*/sent/*")))
        first.kill()
        first.communicate()
    with running(*worker(queue)), running("run", config) as second, running("run", config) as third:
        assert second.wait(60) == third.wait(60) == 0
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)


def test_a_poison_task_is_buried_and_the_rest_is_done(volume, queue, tmp_path):
    # given a chunk that does not decode
    store = open_store(f"file://{tmp_path}/em")
    path = next((tmp_path / "em/4_4_40").glob("64-96_0-32_0-32*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    config = config_of(tmp_path, queue)
    # when the job is run
    with running(*worker(queue)):
        report = command("run", config, status=1)
        # then its task is given up, with its name
        assert report["tasks"]["failed"] == 1
        assert "64-96_0-32_0-32" in report["failures"][0]["error"]
        assert (
            report["tasks"]["done"] + report["tasks"]["failed"] + report["tasks"]["skipped"] == report["tasks"]["total"]
        )
        found = command("failures", config)["failures"]
        assert len(found) == 1
        # and when the cause is mended and it is tried again, all is done
        path.write_bytes(whole)
        command("failures", config, "--retry")
        report = command("run", config)
    assert report["tasks"]["failed"] == 0
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)
    assert store.exists("info")


def test_workers_end_where_the_rest_can_not_be_done(volume, queue, tmp_path):
    # given a job of two passes, whose first one can't be finished
    damaged = next((tmp_path / "em/4_4_40").glob("64-96_0-32_0-32*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    config = config_of(tmp_path, queue, workers={"processes": 2, "memory": "80MiB"}, downsample={"mips": 4})
    with running("run", config, "--json", stdout=subprocess.PIPE) as coordinator:
        # then a worker that waits for the end of the job comes to it
        command(*worker(queue, "--exit-when-done"), timeout=60)
        output, errors = coordinator.communicate(timeout=30)
    assert coordinator.returncode == 1, errors
    report = json.loads(output)["tasks"]
    assert report["failed"] == 1
    assert report["done"] + report["failed"] + report["skipped"] == report["total"]


def test_a_signal_to_all_processes_ends_a_worker_as_one_to_itself(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    with running(*worker(queue, "--grace", "30"), start_new_session=True) as process:
        wait_until(lambda: receipts(tmp_path / "out"))
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "was killed" not in errors


def test_what_the_queue_has_lost_is_sent_again(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    command("queue", "purge", queue["url"], *endpoint(queue), "--yes")
    with running(*worker(queue)):
        assert command("run", config)["tasks"]["failed"] == 0


def test_what_a_worker_says_of_itself(volume, queue, tmp_path):
    # given a worker that is asked by Prometheus
    config = config_of(tmp_path, queue)
    total = command("plan", config)["tasks"]
    command("enqueue", config)
    lock = next((tmp_path / "out/.cvbatch/locks").iterdir())
    before = json.loads(lock.read_text())["expires"]
    with running(*worker(queue, "--metrics-port", "0", "--lease-seconds", "3", "--max-rss", "1MB")) as asked:
        url = next(line for line in asked.stderr if line.startswith("metrics at")).split()[-1]
        wait_until(lambda: f'cvbatch_tasks_total{{outcome="done"}} {total}' in text_of(url))
        # then everything is counted, also by processes that were replaced because they have grown
        wait_until(lambda: "cvbatch_leases 0" in text_of(url))
        lines = dict(line.rsplit(" ", 1) for line in text_of(url).splitlines() if not line.startswith("#"))
        # and in the state it says that it lives, and what it has done
        wait_until(lambda: [each["done"] for each in command("status", config)["workers"]] == [total])
        assert json.loads(lock.read_text())["expires"] > before
        asked.terminate()
        asked.stderr.read()
        assert asked.wait(30) == 0
    assert float(lines['cvbatch_bytes_total{direction="written"}']) > 0
    assert float(lines['cvbatch_stage_seconds_total{stage="encode"}']) > 0
    assert lines['cvbatch_troubles_total{kind="worker_died"}'] == "0"
    assert command("status", config)["workers"] == []


def text_of(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_two_jobs_on_one_queue(volume, queue, tmp_path):
    configs = [config_of(tmp_path, queue, name) for name in ("one", "two")]
    for config in configs:
        command("enqueue", config)
    summary = command(*worker(queue, "--exit-when-empty"))
    assert len(summary["jobs"]) == 2
    for config in configs:
        assert command("run", config)["tasks"]["failed"] == 0
    assert objects(tmp_path / "one") == objects(tmp_path / "two")


def test_paths_that_a_worker_may_not_touch(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    with running(*worker(queue, "--allow", f"file://{tmp_path}/elsewhere", "--max-seconds", "2")) as strict:
        _, errors = strict.communicate(timeout=30)
    assert "is not below what --allow permits" in errors
    assert receipts(tmp_path / "out") == []


def test_messages_that_are_none(queue, tmp_path):
    shared = open_queue(queue["url"], queue.get("endpoint", ""), queue.get("region_name", ""))
    shared.send(["not json", '{"payload": [["os", "system"], [], {"command": "touch hacked"}], "id": null}'])
    with running(*worker(queue, "--max-seconds", "2")) as confused:
        _, errors = confused.communicate(timeout=30)
    # then what nobody can read is put aside, and what is another program's is left to that
    assert "not a message of any program: 'not json', and put aside" in errors
    assert "a message for another program: ['os', 'system']" in errors
    counts = shared.counts()
    assert counts.waiting + counts.leased == 1


def refused(queue: dict) -> str:
    """What a worker says that has no use for the messages there are."""
    with running(*worker(queue, "--max-seconds", "2")) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return errors


def test_a_job_whose_state_is_gone(volume, queue, tmp_path):
    config = config_of(tmp_path, queue, state=f"file://{tmp_path}/state")
    command("enqueue", config)
    shutil.rmtree(tmp_path / "state")
    assert "has no job.json" in refused(queue)


def test_a_destination_that_changed(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    # given somebody who has made another volume of the destination in the meantime
    info = tmp_path / "out/info"
    info.write_text(info.read_text().replace('"png"', '"raw"'))
    assert "changed since the job was made" in refused(queue)
    assert receipts(tmp_path / "out") == []


def test_a_job_description_that_was_tampered_with(volume, queue, tmp_path):
    config = config_of(tmp_path, queue)
    command("enqueue", config)
    document = next((tmp_path / "out").glob(".cvbatch/*/job.json"))
    document.write_text(document.read_text().replace(f"file://{tmp_path}/out", f"file://{tmp_path}/elsewhere"))
    assert "its content is job" in refused(queue)
    assert not (tmp_path / "elsewhere").exists()


def test_no_such_queue(volume, tmp_path):
    config = config_of(tmp_path, {"url": f"fq://{tmp_path}/none"})
    for arguments in (("enqueue", config), ("run", config), ("work", f"fq://{tmp_path}/none")):
        found = command(*arguments, status=2)
        assert "cvbatch queue create" in found["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_from_bucket_to_bucket(volume, queue, rclone, secrets_folder, tmp_path):
    # given both ends in a bucket, and a queue
    save_s3_keys(secrets_folder, rclone)
    make_bucket(rclone, bucket := f"cluster-{random.randrange(10**9)}")
    there = f"s3://{rclone.url}/{bucket}"
    CloudVolume(f"file://{tmp_path}/em").transfer_to(f"{there}/em", CloudVolume(f"file://{tmp_path}/em").bounds)
    config = config_of(tmp_path, queue, source=f"{there}/em", destination={"path": f"{there}/out", "encoding": "png"})
    command("enqueue", config)
    command(*worker(queue, "--exit-when-done"))
    assert command("run", config)["tasks"]["failed"] == 0
    np.testing.assert_array_equal(CloudVolume(f"{there}/out")[:, :, :], volume)


def test_a_service_that_is_out_of_order_for_a_while(volume, moto, secrets_folder, tmp_path):
    # given a queue behind a proxy, and a worker and a coordinator that use it
    save_s3_keys(secrets_folder, moto)
    with FaultProxy(moto.url) as proxy:
        queue = {"url": f"sqs://ill-{random.randrange(10**9)}", "endpoint": proxy.url, "region_name": "us-east-1"}
        command("queue", "create", queue["url"], *endpoint(queue))
        config = config_of(tmp_path, queue)
        with running(*worker(queue)) as process, running("run", config) as coordinator:
            wait_until(lambda: receipts(tmp_path / "out"))
            # when it answers nothing but errors, longer than a request is sent again
            proxy.faults = {"503": 1.0}
            wait_until(lambda: proxy.counts["503"] > 15)
            proxy.faults = {}
            # then both go on when it is well again
            assert coordinator.wait(90) == 0, coordinator.stderr.read()
            assert process.poll() is None
    assert objects(tmp_path / "out") == expected_of(tmp_path, queue)
