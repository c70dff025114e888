"""Processes that are killed at random moments. ``python -m tests.faults.long kills`` does this some hundred times."""

import random

import pytest
from chaos.killing import Scene, kill_cluster, kill_locally


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("kills"))


def test_supervisor_and_workers_are_killed(scene, seed):
    # given a run of which any process is killed, again and again
    found = kill_locally(scene, f"local-{seed}", kills=5, rng=random.Random(seed))
    # then the result is the same, each task has one receipt, and nobody and nothing is left (looked at in there)
    assert found.kills >= 1
    assert found.in_two_receipts == 0
    assert found.partial_files == 0


def test_coordinator_and_workers_of_a_queue_are_killed(scene, seed):
    queue = {"url": f"fq://{scene.folder}/queue-{seed}"}
    found = kill_cluster(scene, f"fq-{seed}", queue, kills=6, rng=random.Random(seed))
    assert found.kills >= 1
    assert found.in_two_receipts == 0


def test_the_same_with_sqs(scene, seed, moto, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret)
    queue = {"url": f"sqs://kills-{seed}", "endpoint": moto.url, "region_name": "us-east-1"}
    found = kill_cluster(scene, f"sqs-{seed}", queue, kills=4, rng=random.Random(seed))
    assert found.kills >= 1
    assert found.in_two_receipts == 0
