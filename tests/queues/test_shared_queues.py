"""Folders and SQS keep what every queue of many machines promises."""

import contextlib
import itertools
import time

import pytest
from queue_contract import QueueContract
from servers.keys import save_s3_keys
from servers.sqs import SqsProxy

from cvbatch.errors import QueueUnavailableError
from cvbatch.queues import open_queue
from cvbatch.queues.folder import FolderQueue

serial = itertools.count()


class TestFolderQueue(QueueContract):
    @pytest.fixture
    def clock(self):
        """The clock that all workers share, in a list."""
        return [1_800_000_000.25]

    @pytest.fixture
    def open_one(self, clock, tmp_path):
        return lambda: FolderQueue(str(tmp_path / "queue"), lambda: clock[0])

    @pytest.fixture
    def pass_time(self, clock):
        def pass_time(seconds):
            clock[0] += seconds + 1  # Leases end with a whole second.

        return pass_time


class TestSqsQueue(QueueContract):
    @pytest.fixture
    def open_one(self, moto, secrets_folder):
        with SqsProxy(moto) as proxy, contextlib.ExitStack() as opened:
            save_s3_keys(secrets_folder, moto)
            url = f"sqs://contract-{next(serial)}"

            yield lambda: opened.enter_context(contextlib.closing(open_queue(url, proxy.server.url)))

    @pytest.fixture
    def pass_time(self):
        return lambda seconds: time.sleep(seconds + 0.05)


def test_relative_folder_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_queue("fq://jobs/queue").url == f"fq://{tmp_path}/jobs/queue"
    assert open_queue(f"fq://{tmp_path}/jobs/").url == f"fq://{tmp_path}/jobs"


@pytest.mark.parametrize("url", ["", "jobs", "fq://", "sqs://", "pubsub://topic", "https://user:secret@host/queue"])
def test_no_such_kind_of_queue(url):
    with pytest.raises(QueueUnavailableError, match=r"fq://FOLDER.*sqs://NAME") as caught:
        open_queue(url)
    assert "secret" not in str(caught.value)
