"""Messages come back as they were sent, also by way of python-task-queue, and nothing else is taken for one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.errors import MessageError, UnreadableMessageError
from cvbatch.metadata import Batch
from cvbatch.queues import Message, open_queue
from cvbatch.storage import StoreOptions, parse_location

NUMBERS = st.integers(0, 10**12)


def message(start: int = 3, length: int = 2) -> Message:
    options = StoreOptions(region_name="eu-west-1", secrets='{"AWS_SECRET_ACCESS_KEY": "hush"}')
    state = parse_location("s3://https://s3.example.org/bucket/em/.cvbatch/abc", options)
    return Message(Batch("0123456789abcdef", 1, start, start + length), state, 5)


@given(NUMBERS, st.integers(1, 1000))
def test_a_message_comes_back(start, length):
    sent = message(start, length)
    received = Message.decode(sent.encode())
    assert received == sent
    # with how the state is reached, and without a secret
    assert received.state.options == StoreOptions(region_name="eu-west-1")
    assert "hush" not in sent.encode()


def changed(**members) -> str:
    document = json.loads(message().encode())
    document["payload"][2].update(members)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", UnreadableMessageError, "not a message of any program"),
        ("{}", UnreadableMessageError, "not a message of any program"),
        ('{"payload": 3}', UnreadableMessageError, "not a message of any program"),
        ("[" * 100_000, UnreadableMessageError, "not a message of any program"),
        ('{"payload": [["os", "system"], [], {}, null]}', MessageError, "for another program"),
        (changed(version=2), MessageError, "version 2; this cvbatch reads 1"),
        (changed(start=5, stop=5), UnreadableMessageError, "without a batch"),
        (changed(start=-1), UnreadableMessageError, "without a batch"),
        (changed(start=True), UnreadableMessageError, "without a batch"),
        (changed(job=7), UnreadableMessageError, "without a batch"),
        (changed(max_attempts=0), UnreadableMessageError, "max_attempts 0"),
        (changed(state="ftp://x"), UnreadableMessageError, "where its job is"),
        (changed(reach={"color": "red"}), UnreadableMessageError, "where its job is"),
    ],
)
def test_what_is_no_message(text, kind, said):
    with pytest.raises(kind, match=said) as caught:
        Message.decode(text)
    assert type(caught.value) is kind


def test_messages_that_went_through_python_task_queue(tmp_path):
    # given messages in a folder, when that program moves them to another one
    first = open_queue(f"fq://{tmp_path}/first")
    first.create(60)
    first.send([message(start).encode() for start in range(5)])
    ptq = [str(Path(sys.executable).parent / "ptq"), "mv", first.url, f"fq://{tmp_path}/second"]
    subprocess.run(ptq, check=True, capture_output=True, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    # then they can still be read
    second = open_queue(f"fq://{tmp_path}/second")
    found = [Message.decode(second.receive(60).body) for _ in range(5)]
    assert sorted(each.batch.start for each in found) == list(range(5))
    assert second.receive(60) is None


def test_python_task_queue_shows_a_queue_of_sqs(moto, monkeypatch, tmp_path):
    # given messages in a queue of a service
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret)
    queue = open_queue("sqs://shown-by-ptq", moto.url, "us-east-1")
    queue.create(60)
    queue.send([message(start).encode() for start in range(7)])
    queue.close()
    # then that program counts them
    environment = {**os.environ, "HOME": str(tmp_path), "AWS_ENDPOINT_URL": moto.url, "AWS_DEFAULT_REGION": "us-east-1"}
    ptq = [str(Path(sys.executable).parent / "ptq"), "status", "sqs://shown-by-ptq"]
    done = subprocess.run(ptq, check=True, capture_output=True, text=True, env=environment)
    assert "Enqueued: 7" in done.stdout
