"""``cvbatch doctor`` tells what works, as whom, and what to do."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from servers import Server, canned_server, make_bucket, moto_s3, s3_error, save_s3_keys, user, web_server, with_users

from cvbatch import CloudVolume
from cvbatch.storage import Blob, open_store


@pytest.fixture(scope="module")
def guarded():
    with moto_s3() as server, with_users(server) as admin:
        make_bucket(admin, "patient")
        yield admin


def doctor(*arguments) -> tuple[int, dict, float]:
    """Exit status, findings by name of the first place, and seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", "doctor", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ},
    )
    assert done.stdout, done.stderr
    place = json.loads(done.stdout)["places"][0]
    return done.returncode, {f["what"]: f for f in place["findings"]}, time.monotonic() - start


def verdicts(found: dict) -> dict[str, str]:
    return {name: finding["verdict"] for name, finding in found.items()}


def test_a_bucket_where_everything_works(guarded, secrets_folder):
    # given a volume
    save_s3_keys(secrets_folder, guarded)
    path = f"s3://{guarded.url}/patient/em"
    CloudVolume.from_numpy(np.zeros((64, 64, 64), np.uint8), vol_path=path, chunk_size=(32, 32, 32))
    before = sorted(open_store(path).list())
    # when it is examined
    status, found, seconds = doctor(path)
    # then everything is well, each figure was measured, and nothing is left behind
    assert status == 0
    steps = ["credentials", "list", "read", "write", "delete", "round trip", "small objects", "large objects"]
    assert verdicts(found) == dict.fromkeys(steps, "ok")
    assert str(secrets_folder) in found["credentials"]["detail"]
    assert guarded.secret not in str(found)
    assert "a volume: image, uint8, 1 mip" in found["read"]["detail"]
    assert sorted(open_store(path).list()) == before
    assert seconds < 12


@pytest.mark.parametrize(
    ("denied", "step", "verdict", "status"),
    [
        ("s3:PutObject", "write", "note", 0),
        ("s3:ListBucket", "list", "note", 0),
        ("s3:DeleteObject", "delete", "problem", 1),
        ("s3:GetObject", "read", "problem", 1),
    ],
)
def test_a_missing_permission_is_named(guarded, secrets_folder, denied, step, verdict, status):
    save_s3_keys(secrets_folder, Server(guarded.url, *user(guarded, [denied])))
    code, found, _ = doctor(f"s3://{guarded.url}/patient/elsewhere")
    assert (code, found[step]["verdict"]) == (status, verdict)
    assert f"It needs {denied}" in found[step]["detail"]
    assert found[step]["advice"] or step == "read"


def test_without_writing_nothing_is_written(guarded, secrets_folder):
    save_s3_keys(secrets_folder, guarded)
    status, found, _ = doctor(f"s3://{guarded.url}/patient/untouched", "--no-write")
    assert status == 0
    assert "write" not in found


def test_names_with_extensions_are_a_trap(guarded, secrets_folder):
    # given a folder that was copied from a disk as it is
    save_s3_keys(secrets_folder, guarded)
    store = open_store(f"s3://{guarded.url}/patient/copied")
    store.put("4_4_40/0-64_0-64_0-64.gz", Blob(b"x"))
    # then it is told how it should be
    status, found, _ = doctor(store.url)
    assert status == 1
    assert "4_4_40/0-64_0-64_0-64.gz" in found["names"]["detail"]
    assert "Content-Encoding" in found["names"]["advice"]


def test_a_server_that_overwrites_what_is_there(rclone, secrets_folder):
    save_s3_keys(secrets_folder, rclone)
    make_bucket(rclone, "doctor")
    status, found, _ = doctor(f"s3://{rclone.url}/doctor/em")
    assert status == 0
    assert found["locks"]["verdict"] == "note"


def test_a_web_server(tmp_path):
    CloudVolume.from_numpy(np.zeros((8, 8, 8), np.uint8), vol_path=f"file://{tmp_path}/em", chunk_size=(8, 8, 8))
    with web_server(tmp_path) as server:
        status, found, _ = doctor(f"{server.url}/em")
    assert status == 0
    assert verdicts(found) == {"credentials": "ok", "list": "note", "read": "ok", "round trip": "ok"}


def test_a_folder(tmp_path):
    status, found, _ = doctor(tmp_path / "new")
    assert status == 0
    assert verdicts(found)["write"] == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, s3_error("NoSuchBucket")), "there is no bucket 'bucket'"),
        ((400, s3_error("ExpiredToken")), "Renew or replace them"),
        ((503, s3_error("SlowDown")), "503 SlowDown"),
    ],
)
def test_where_nothing_works_it_stops_at_once(secrets_folder, answer, said):
    with canned_server(*answer) as url:
        save_s3_keys(secrets_folder, Server(url, "key-of-ten-letters", "secret"))
        status, found, seconds = doctor(f"s3://{url}/bucket/em")
    assert status == 1
    assert list(found) == ["credentials", "list"]
    assert said in str(found["list"]) or "not done after 10 s" in found["list"]["detail"]
    assert seconds < 12


def test_a_configuration_has_two_places(rclone, secrets_folder, tmp_path):
    # given a configuration whose ends are reached in their own ways
    save_s3_keys(secrets_folder, rclone)
    make_bucket(rclone, "ends")
    config = tmp_path / "job.yaml"
    config.write_text(
        f"job: transfer\nsource: file://{tmp_path}/em\ndestination: {{path: s3://ends/em, endpoint: {rclone.url}}}\n"
    )
    CloudVolume.from_numpy(np.zeros((8, 8, 8), np.uint8), vol_path=f"file://{tmp_path}/em", chunk_size=(8, 8, 8))
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", "doctor", str(config)], capture_output=True, text=True, check=False
    )
    # then both are told of, for people
    assert done.returncode == 0, done.stdout
    assert f"file://{tmp_path}/em" in done.stdout
    assert f"s3://{rclone.url}/ends/em" in done.stdout
    assert "✓ write" in done.stdout
