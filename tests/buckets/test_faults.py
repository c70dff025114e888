"""Jobs whose store is ill: the voxels that arrive are the same, or the job says what is missing."""

import json

import numpy as np
import pytest
from servers import FaultProxy, make_bucket, save_s3_keys

from cvbatch import CloudVolume, run
from cvbatch.errors import StorageError
from cvbatch.storage import Blob, clients, open_store

# 5 % of requests, of each kind.
ALL_FAULTS = dict.fromkeys(["429", "500", "503", "reset", "stall", "truncate", "corrupt", "short"], 0.05)
SIZE = (256, 256, 64)


@pytest.fixture
def proxied(rclone, secrets_folder):
    """A proxy in front of the server, without faults yet, and two buckets."""
    save_s3_keys(secrets_folder, rclone)
    with FaultProxy(rclone.url, {}, seed=7) as proxy:
        port = proxy.url.rpartition(":")[2]
        buckets = [f"{name}-{port}" for name in ("from", "to")]
        for bucket in buckets:
            make_bucket(rclone, bucket)
        yield proxy, *[f"s3://{proxy.url}/{bucket}" for bucket in buckets]


def volume(path: str, encoding: str = "raw", compress: str = "gzip") -> np.ndarray:
    """Write a volume of 128 chunks; its voxels."""
    voxels = np.random.default_rng(1).integers(0, 255, SIZE, np.uint8) // 4
    made = CloudVolume.from_numpy(
        voxels, vol_path=path, chunk_size=(32, 32, 32), layer_type="image", encoding=encoding, compress=compress
    )
    return made[:, :, :]


def job(source: str, destination: str, **keys) -> dict:
    def patient(path):
        return {"path": path, "stall_seconds": 0.5}

    return {
        "job": "transfer",
        "source": patient(source),
        "destination": {**patient(destination), **keys.pop("target", {})},
        "workers": {"processes": 2, "memory": "512MiB"},
        "queue": {"url": "local", "max_attempts": 5},
        **keys,
    }


@pytest.mark.parametrize(
    ("name", "keys", "mips"),
    [
        ("copied", {}, 0),
        ("rechunked with mips", {"target": {"chunk_size": [64, 64, 64]}, "downsample": {"mips": 2}}, 2),
        ("sharded", {"target": {"sharding": "auto"}}, 0),
    ],
)
def test_a_job_finishes_with_the_same_voxels(proxied, capsys, name, keys, mips):
    # given a volume, and a server that spoils two of five requests
    proxy, place, target = proxied
    expected = volume(f"{place}/em")
    proxy.faults = ALL_FAULTS
    # when it is transferred
    report = run(job(f"{place}/em", f"{target}/out", **keys))
    proxy.faults = {}
    # then everything arrived
    with capsys.disabled():
        print(
            f"\n{name}: {report.retries} tasks tried again; the proxy: {json.dumps(dict(sorted(proxy.counts.items())))}"
        )
    assert report.failures == ()
    np.testing.assert_array_equal(CloudVolume(f"{target}/out")[:, :, :], expected)
    assert len(CloudVolume(f"{target}/out").scales) == mips + 1
    # and each object is the one that a healthy server has
    run(job(f"{place}/em", f"{target}/clean", **keys))
    ill, healthy = open_store(f"{target}/out"), open_store(f"{target}/clean")
    objects = [key for key in healthy.list() if not key.startswith(".cvbatch/") and key != "provenance"]
    assert len(objects) >= 2
    assert all(ill.get(key) == healthy.get(key) for key in objects)
    assert all(proxy.counts[kind] > 0 for kind in ALL_FAULTS)


def test_the_library_reads_and_writes_through_faults(proxied):
    proxy, place, _ = proxied
    expected = volume(f"{place}/em")
    proxy.faults = {kind: share for kind, share in ALL_FAULTS.items() if kind != "stall"}
    vol = CloudVolume(f"{place}/em")
    for parallel in (1, 2):
        vol.parallel = parallel
        np.testing.assert_array_equal(vol[:, :, :], expected)
    vol[0:64, 0:64, :] = expected[0:64, 0:64, :] + np.uint8(1)
    proxy.faults = {}
    np.testing.assert_array_equal(vol[0:64, 0:64, :], expected[0:64, 0:64, :] + np.uint8(1))


def test_a_damaged_chunk_is_damaged_however_often_it_is_fetched(proxied):
    # given a chunk whose bytes are spoiled where they lie
    proxy, place, _ = proxied
    volume(f"{place}/em")
    store = open_store(f"{place}/em")
    key = "4_4_40/32-64_0-32_0-32"
    data = bytearray(store.get(key).data)
    data[len(data) // 2] ^= 1
    store.put(key, Blob(bytes(data), "gzip"))
    proxy.log.clear()
    # when it is re-encoded
    report = run(job(f"{place}/em", f"{place}/out", target={"encoding": "png"}))
    # then it fails at once, after some more looks
    assert len(report.failures) == 1
    assert f"{key} is damaged" in report.failures[0].error
    assert report.retries == 0
    assert sum(path.endswith(key) for _, path, _ in proxy.log) == 5


def test_what_is_given_up_says_so_and_may_be_tried_later(proxied, monkeypatch):
    # given a server that is out of order for longer than a request is sent again
    proxy, place, _ = proxied
    monkeypatch.setattr(clients, "DEADLINE_SECONDS", 0.5)
    store = open_store(f"{place}/em")
    store.put("info", Blob(b"{}"))
    proxy.faults = {"503": 1.0}
    # when an object is read
    with pytest.raises(StorageError, match=r"cannot read .*/em/info as .* after \d tries: .* 503 SlowDown") as caught:
        store.get("info")
    # then whoever asked may try again
    assert caught.value.retryable
    proxy.faults = {}
    assert store.get("info") == Blob(b"{}")


def test_inside_a_bucket_the_server_copies(proxied):
    # given a volume
    proxy, place, _ = proxied
    expected = volume(f"{place}/em")
    before = len(proxy.log)
    # when it is copied to another place of the same bucket
    report = run(job(f"{place}/em", f"{place}/out"))
    # then no chunk was fetched
    fetched = [path for method, path, _ in proxy.log[before:] if method == "GET" and "/em/4_4_40/" in path]
    assert fetched == []
    assert report.to_json()["chunks"]["copied"] == report.to_json()["chunks"]["written"] == 128
    proxy.log.clear()
    np.testing.assert_array_equal(CloudVolume(f"{place}/out")[:, :, :], expected)
    # and a chunk that is not there is told as ever
    open_store(f"{place}/em").delete("4_4_40/0-32_0-32_0-32")
    report = run(job(f"{place}/em", f"{place}/again"))
    assert "4_4_40/0-32_0-32_0-32 is missing" in report.failures[0].error


def test_a_store_that_asks_for_less_gets_less(proxied):
    # given a server that takes four requests at a time
    proxy, place, target = proxied
    expected = volume(f"{place}/em")
    proxy.delay_seconds, proxy.most_at_once = 0.02, 4
    refused = proxy.counts["most_at_once"]
    # when a job of one worker with many threads copies from there
    report = run({**job(f"{place}/em", f"{target}/out"), "workers": {"processes": 1, "threads": 32}})
    proxy.most_at_once = None
    # then it finishes, and most of its requests were taken at once
    assert report.failures == ()
    np.testing.assert_array_equal(CloudVolume(f"{target}/out")[:, :, :], expected)
    assert proxy.counts["most_at_once"] - refused < 0.7 * 2 * 128
