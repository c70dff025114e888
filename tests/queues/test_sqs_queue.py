"""Queues of SQS: what the service refuses, forgets or does twice, who asks, and what a queue is made like."""

import contextlib
import itertools
import json
import threading
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from queue_contract import LONG, body, drain, number_of
from servers.base import Server
from servers.keys import save_s3_keys
from servers.moto import client, user, with_users
from servers.sqs import Refusal, SqsProxy

import cvbatch.queues.sqs as sqs_module
from cvbatch.errors import QueueError, QueueUnavailableError
from cvbatch.queues import QueueCounts
from cvbatch.queues.sqs import SqsQueue

serial = itertools.count()
THROTTLED = Refusal(400, "RequestThrottled", "Rate exceeded")
BROKEN = Refusal(500, "InternalFailure", "We are sorry")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Requests and entries are sent again at once."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0.001)
    monkeypatch.setattr(sqs_module, "FIRST_PAUSE", 0.001)


@pytest.fixture
def proxy(moto, secrets_folder):
    save_s3_keys(secrets_folder, moto)
    with SqsProxy(moto) as proxy:
        yield proxy


@pytest.fixture
def name():
    return f"queue-{next(serial)}"


@pytest.fixture
def join(proxy, name):
    """Gives the queue to one worker more."""
    with contextlib.ExitStack() as opened:
        yield lambda *clock: opened.enter_context(
            contextlib.closing(SqsQueue(name, "us-east-1", proxy.server.url, *clock))
        )


@pytest.fixture
def queue(join):
    queue = join()
    queue.create(30)
    return queue


@pytest.fixture
def boto(moto):
    """The service, by another program."""
    with contextlib.closing(client(moto, "sqs")) as boto:
        yield boto


def attributes(boto, name) -> dict:
    url = boto.get_queue_url(QueueName=name)["QueueUrl"]
    return boto.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


# What the service does


@pytest.mark.parametrize("refusal", [THROTTLED, BROKEN, Refusal(503, "ServiceUnavailable")])
def test_requests_that_fail_for_a_while(queue, proxy, refusal):
    # given a service that takes each request only when it was sent for the third time
    for action in ("SendMessageBatch", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"):
        proxy.refusals[action] = [refusal, refusal]
    # then nobody notices
    queue.send([body(1)])
    held = queue.receive(LONG)
    assert held.extend(LONG)
    assert held.ack()
    assert not any(proxy.refusals.values())
    assert queue.counts() == QueueCounts(0, 0)


@pytest.mark.parametrize("refusal", [THROTTLED, BROKEN, Refusal(403, "RequestThrottled"), Refusal(400, "OverLimit")])
@pytest.mark.parametrize("action", ["SendMessageBatch", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"])
def test_requests_that_fail_for_long(queue, proxy, action, refusal):
    # given messages, of which one is held
    queue.send([body(1), body(2)])
    held = queue.receive(LONG)
    # when the service does not get well
    proxy.refusals[action] = [refusal] * 50
    calls = {
        "SendMessageBatch": lambda: queue.send([body(3)]),
        "ReceiveMessage": lambda: queue.receive(LONG),
        "ChangeMessageVisibility": lambda: held.extend(LONG),
        "DeleteMessage": held.ack,
    }
    # then that is said, and that trying again may help
    with pytest.raises(QueueError, match=refusal.code) as caught:
        calls[action]()
    assert caught.value.retryable
    assert queue.url in str(caught.value)
    assert len(proxy.asked(action)) <= sqs_module.TRIES + 1


def test_request_that_failed_may_be_tried_again(queue, proxy):
    # given a message whose removal failed
    queue.send([body(1)])
    held = queue.receive(LONG)
    proxy.refusals["ChangeMessageVisibility"] = [BROKEN] * sqs_module.TRIES
    with pytest.raises(QueueError):
        held.extend(LONG)
    # then it is still ours
    assert held.extend(LONG)
    assert held.ack()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_entries_that_fail_alone_are_sent_again(queue, proxy, share):
    # given a service that loses some entries of each batch, and says so
    proxy.failing_share = share
    proxy.refusals["SendMessageBatch"] = [THROTTLED, BROKEN]
    count = 95
    # the share of eight failures in a row is small, but not nothing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs_module, "ENTRY_TRIES", 40)
        queue.send(body(number) for number in range(count))
    # then all have arrived, and none twice
    assert sorted(drain(queue)) == list(range(count))
    assert len(proxy.asked("SendMessageBatch")) > 12


def test_entries_that_always_fail(queue, proxy):
    proxy.failing_share = 1
    with pytest.raises(QueueError, match=r"3 messages were not taken in 8 tries \(InternalError\)") as caught:
        queue.send(body(number) for number in range(3))
    assert caught.value.retryable


def test_entries_that_are_our_fault(queue, proxy):
    proxy.failing_share, proxy.failure = 1, ("InvalidMessageContents", True)
    with pytest.raises(QueueUnavailableError, match="InvalidMessageContents"):
        queue.send([body(1)])
    assert len(proxy.asked("SendMessageBatch")) == 1


@pytest.mark.parametrize("call", ["extend", "ack", "release"])
def test_receipt_that_the_service_refuses(queue, proxy, join, clock, call):
    # given somebody by whose clock the lease goes on, though another one has the message
    queue.send([body(1)])
    proxy.duplicates = 1
    late = join(clock).receive(LONG)
    new = queue.receive(LONG)
    before = len(proxy.log)
    # when the service refuses the receipt, then that is a no
    assert not getattr(late, call)(*([LONG] if call == "extend" else []))
    assert len(proxy.log) == before + 1
    # and it is not asked again
    assert not late.extend(LONG)
    assert not late.ack()
    assert len(proxy.log) == before + 1
    assert new.ack()


@pytest.mark.parametrize("call", ["extend", "ack", "release"])
def test_lease_that_has_ended_by_our_clock(queue, proxy, join, clock, call):
    # given a service that would still take the receipt
    queue.send([body(1)])
    held = join(clock).receive(LONG)
    clock.now += LONG
    before = len(proxy.log)
    # then it isn't asked, because it would forget whoever has the message by now
    assert not getattr(held, call)(*([LONG] if call == "extend" else []))
    assert len(proxy.log) == before
    assert queue.counts() == QueueCounts(0, 1)


@pytest.mark.parametrize("end", ["ack", "release"])
def test_receipt_that_was_used_up(queue, proxy, end):
    # given a message that was acknowledged, or handed back for later
    queue.send([body(1)])
    held = queue.receive(LONG)
    assert getattr(held, end)(*([LONG] if end == "release" else []))
    before = len(proxy.log)
    # then the service is not asked to do anything more with it
    assert not held.ack()
    assert not held.extend(LONG)
    assert not held.release()
    assert len(proxy.log) == before


def test_message_that_is_delivered_twice(queue, proxy):
    # given a service that delivers some messages to two at a time
    count = 40
    queue.send(body(number) for number in range(count))
    proxy.duplicates = 10
    handled, lock, removed = Counter(), threading.Lock(), []

    def work():
        while (held := queue.receive(LONG)) is not None:
            with lock:
                handled[number_of(held)] += 1
            removed.append(held.ack())

    with ThreadPoolExecutor(4) as pool:
        for worker in [pool.submit(work) for _ in range(4)]:
            worker.result()
    # then none is lost, and the second owner is not bothered
    assert handled.keys() == set(range(count))
    assert sum(handled.values()) == count + 10
    assert queue.counts() == QueueCounts(0, 0)


def test_nothing_can_be_held_for_more_than_half_a_day(queue, proxy, join, clock):
    queue.send([body(1)])
    held = join(clock).receive(1e6)
    assert proxy.asked("ReceiveMessage")[-1]["VisibilityTimeout"] == 43_200
    clock.now += 43_000.5
    assert held.extend(1e6)
    assert proxy.asked("ChangeMessageVisibility")[-1]["VisibilityTimeout"] == 199
    clock.now += 198.9
    assert not held.extend(1e6)


def test_release_all_is_not_for_services(queue):
    with pytest.raises(QueueUnavailableError, match="their leases end"):
        queue.release_all()


# What is asked


@pytest.mark.parametrize(("delay", "asked"), [(0, 0), (0.2, 1), (30, 30), (5000, 900)])
def test_delays_are_those_that_there_are(queue, proxy, delay, asked):
    queue.send([body(1)], delay)
    assert [entry["DelaySeconds"] for entry in proxy.asked("SendMessageBatch")[0]["Entries"]] == [asked]


@pytest.mark.parametrize(("wait", "asked"), [(0, [0]), (0.5, [1, 0])])
def test_receive_waits_at_the_service(queue, proxy, wait, asked):
    assert queue.receive(30.2, wait) is None
    requests = proxy.asked("ReceiveMessage")
    assert [request["WaitTimeSeconds"] for request in requests] == asked[: len(requests)]
    assert {request["VisibilityTimeout"] for request in requests} == {31}
    assert {request["MaxNumberOfMessages"] for request in requests} == {1}


def test_batches_are_not_too_long(queue, proxy):
    # given messages of very different lengths
    sizes = [10] * 23 + [100_000] * 5 + [250_000, 10, 250_000]
    queue.send("é" * (size // 2) for size in sizes)
    batches = [request["Entries"] for request in proxy.asked("SendMessageBatch")]
    for batch in batches:
        assert len(batch) <= 10
        assert sum(len(entry["MessageBody"].encode()) for entry in batch) <= 256 * 1024
    assert sum(map(len, batches)) == len(sizes)


# What a queue is made like


def test_new_queue(queue, boto, name):
    made, dead = attributes(boto, name), attributes(boto, f"{name}-dead")
    assert made["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == str(14 * 86_400)
    assert made["VisibilityTimeout"] == "30"
    redrive = json.loads(made["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 1000}


def test_message_that_was_put_aside_can_be_read(queue, proxy, name):
    queue.send([body(1)])
    assert queue.receive(LONG).bury()
    with contextlib.closing(SqsQueue(f"{name}-dead", endpoint=proxy.server.url)) as dead:
        assert drain(dead) == [1]


def test_message_that_cannot_be_put_aside_waits(join, boto, name):
    # given a queue without one beside it
    boto.create_queue(QueueName=name)
    queue = join()
    queue.send([body(1)])
    assert queue.receive(LONG).bury()
    assert queue.counts() == QueueCounts(0, 1)


def test_queue_that_is_there_is_adapted(join, boto, name):
    # given a queue that another program made, with a message in it
    boto.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5", "DelaySeconds": "0"})
    queue = join()
    queue.send([body(1)])
    # when it is created again, and once more
    queue.create(90.5)
    queue.create(90.5)
    # then it fits, and the message is still there
    assert attributes(boto, name)["VisibilityTimeout"] == "91"
    assert "RedrivePolicy" in attributes(boto, name)
    assert drain(queue) == [1]


def test_queue_by_its_url(queue, boto, proxy, moto, name):
    # given the URL of a queue, as other programs show it
    url = boto.get_queue_url(QueueName=name)["QueueUrl"]
    with contextlib.closing(SqsQueue(url)) as other:
        # then its server is known, and needs not be asked for the URL
        other.send([body(1)])
        other.create(60)
        assert other.url == f"sqs://{url}"
    assert drain(queue) == [1]
    assert attributes(boto, name)["VisibilityTimeout"] == "60"


def test_queue_of_another_account_is_not_made(proxy, name):
    url = f"{proxy.server.url}/999999999999/{name}"
    with contextlib.closing(SqsQueue(url)) as queue, pytest.raises(QueueUnavailableError, match="another account"):
        queue.create(30)


@pytest.mark.parametrize(
    ("text", "region", "endpoint"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/jobs", "eu-central-1", ""),
        ("https://eu-west-3.queue.amazonaws.com/123456789012/jobs/", "eu-west-3", ""),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/jobs", "cn-north-1", ""),
        ("http://127.0.0.1:9324/000000000000/jobs", "", "http://127.0.0.1:9324"),
        ("jobs", "", ""),
    ],
)
def test_urls(text, region, endpoint):
    place = sqs_module._parse(text, "", "")
    assert (place.name, place.region, place.endpoint) == ("jobs", region, endpoint)
    assert place.url == f"sqs://{text.rstrip('/')}"
    given = sqs_module._parse(text, "us-west-2", "http://127.0.0.1:1")
    assert (given.region, given.endpoint) == ("us-west-2", "http://127.0.0.1:1")


@pytest.mark.parametrize("text", ["jobs.fifo", "a b", "ü", "x" * 81, "https://sqs.us-east-1.amazonaws.com/"])
def test_names_that_no_queue_has(text):
    with pytest.raises(QueueUnavailableError, match="standard queue"):
        SqsQueue(text)


# Who asks


def test_keys_of_cloud_volume_are_used(queue, proxy, moto):
    assert {asked.key for asked in proxy.log} == {moto.key}


def test_keys_of_the_environment_are_used(proxy, join, secrets_folder, monkeypatch):
    (secrets_folder / "aws-secret.json").unlink()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    join().create(30)
    assert {asked.key for asked in proxy.log} == {"key-of-environment"}


def test_keys_of_a_profile_are_used(proxy, join, secrets_folder, monkeypatch, tmp_path):
    (secrets_folder / "aws-secret.json").unlink()
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id=key-of-profile\naws_secret_access_key=secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    join().create(30)
    assert {asked.key for asked in proxy.log} == {"key-of-profile"}


def test_nobody_asks(secrets_folder):
    with pytest.raises(QueueUnavailableError, match="AWS_ACCESS_KEY_ID"):
        SqsQueue("jobs")


def test_user_who_may_not(moto, secrets_folder, name):
    # given users who may do everything but one thing
    with with_users(moto) as root:
        save_s3_keys(secrets_folder, root)
        with contextlib.closing(SqsQueue(name, endpoint=moto.url)) as queue:
            queue.create(30)
            queue.send([body(1)])
        for action, call in (
            ("SendMessage", lambda queue: queue.send([body(2)])),
            ("ReceiveMessage", lambda queue: queue.receive(LONG)),
            ("PurgeQueue", lambda queue: queue.purge()),
            ("CreateQueue", lambda queue: queue.create(30)),
        ):
            # Amazon has one right for one message and for many; moto takes it for two.
            key, secret = user(root, [f"sqs:{action}", f"sqs:{action}Batch"])
            save_s3_keys(secrets_folder, Server(moto.url, key, secret))
            # then the error says which
            with (
                contextlib.closing(SqsQueue(name, endpoint=moto.url)) as queue,
                pytest.raises(QueueUnavailableError, match=rf"sqs://{name}: access denied .*sqs:{action}$"),
            ):
                call(queue)


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"])
def test_credentials_are_not_repeated(queue, proxy, moto, code):
    # given a service that repeats what was signed
    proxy.refusals["ReceiveMessage"] = [Refusal(403, code, f"The Canonical String should have been {moto.key}")]
    with pytest.raises(QueueUnavailableError, match=code) as caught:
        queue.receive(LONG)
    text = "".join(traceback.format_exception(caught.value))
    assert moto.key not in text
    assert moto.secret not in text


@pytest.mark.parametrize(
    ("name", "endpoint"), [("http://user:secret@127.0.0.1/0/jobs", ""), ("jobs", "http://user:secret@127.0.0.1:9")]
)
def test_no_passwords_in_urls(name, endpoint):
    with pytest.raises(QueueUnavailableError, match="password") as caught:
        SqsQueue(name, endpoint=endpoint)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "endpoint", "words"),
    [
        ({"AWS_PROFILE": "nobody"}, "", "nobody"),
        ({"AWS_DEFAULT_REGION": "no region"}, "", "no region"),
        ({}, "127.0.0.1", "127.0.0.1"),
    ],
)
def test_settings_that_do_not_work(proxy, monkeypatch, variables, endpoint, words):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(QueueUnavailableError, match=f"^sqs://jobs: .*{words}"):
        SqsQueue("jobs", endpoint=endpoint)


def test_file_of_cloud_volume_that_is_broken(secrets_folder):
    secrets_folder.mkdir()
    (secrets_folder / "aws-secret.json").write_text('{"AWS_ACCESS_KEY_ID": "hidden')
    with pytest.raises(QueueUnavailableError, match=r"aws-secret\.json") as caught:
        SqsQueue("jobs")
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_server_that_is_not_there(proxy, name):
    with (
        contextlib.closing(SqsQueue(name, endpoint="http://127.0.0.1:9")) as queue,
        pytest.raises(QueueError, match=r"127\.0\.0\.1:9") as caught,
    ):
        queue.receive(LONG)
    assert caught.value.retryable


def test_times_as_the_service_takes_them():
    assert [sqs_module._lease(seconds) for seconds in (0, 0.1, 1, 1.5, 1e9)] == [0, 1, 1, 2, 43_200]
    assert sqs_module._lease(100, 10.9) == 10
    assert sqs_module._lease(100, -5) == 0
