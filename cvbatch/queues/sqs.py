"""``sqs://``: a standard queue of Amazon SQS, or of a service that speaks its protocol.

SQS may hand out a message twice, and doesn't mind late calls everywhere: a message that was received again can be
removed with the receipt of who had it before. So a lease counts as lost when its time has passed by our own clock.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from cvbatch.errors import AuthenticationError, QueueError, QueueUnavailableError
from cvbatch.queues.shared import QueueCounts
from cvbatch.storage.credentials import find_credentials
from cvbatch.storage.url import Location
from cvbatch.version import __version__

DEFAULT_REGION = "us-east-1"
# What SQS takes in one request. A batch may be larger by now; other services still have the old limit.
MOST_ENTRIES, MOST_BYTES = 10, 256 * 1024
MOST_DELAY, MOST_WAIT, MOST_LEASE = 900, 20, 12 * 3600
RETENTION_SECONDS = 14 * 24 * 3600
# The most that SQS takes. Receives are no failures: stopped workers and other machines hand messages back.
MOST_RECEIVES = 1000
SENDERS = 8
SENT_TOGETHER = 32
# What boto does by itself: for requests that were throttled, failed at the service, or got no answer.
TRIES = 5
CONNECT_SECONDS, READ_SECONDS = 5, MOST_WAIT + 20
# And for entries of a batch that failed alone.
ENTRY_TRIES = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

ABSENT = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "KmsAccessDenied", "403"})
UNKNOWN_CALLER = frozenset(
    {
        "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
        "InvalidClientTokenId", "InvalidSecurity", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "OptInRequired", "RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
    }
)  # fmt: skip
# Refusals that pass: too much is in flight, or a queue was emptied or removed a moment ago.
PASSING = frozenset(
    {
        "AWS.SimpleQueueService.PurgeQueueInProgress", "AWS.SimpleQueueService.QueueDeletedRecently",
        "KmsThrottled", "OverLimit", "PurgeQueueInProgress", "QueueDeletedRecently", "RequestThrottled", "SlowDown",
        "Throttling", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
# A receipt that is not, or no longer, that of a message in somebody's hands.
STALE = frozenset(
    {
        "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue", "InvalidParameterValueException",
        "MessageNotInflight", "ReceiptHandleIsInvalid",
    }
)  # fmt: skip
# Of boto's own errors, those that are the same the next time.
LASTING = frozenset(
    {
        "InvalidRegionError", "NoCredentialsError", "NoRegionError", "PartialCredentialsError", "ProfileNotFound",
        "SSOTokenLoadError", "UnauthorizedSSOTokenError",
    }
)  # fmt: skip
# What a right is called where it isn't the action's own name.
RIGHTS = {"SendMessageBatch": "SendMessage"}


class _RefusedError(Exception):
    """An answer of the service that the caller may have a use for. ``error`` is what it becomes otherwise."""

    def __init__(self, code: str, error: QueueError) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


@dataclass(frozen=True)
class _Place:
    """A queue as its URL names it. ``queue_url`` is what SQS calls it by, "" where only the name was given."""

    name: str
    queue_url: str
    region: str
    endpoint: str

    @property
    def url(self) -> str:
        return f"sqs://{self.queue_url or self.name}"


def _parse(name_or_url: str, region_name: str, endpoint: str) -> _Place:
    text = name_or_url.rstrip("/")
    if "@" in text + endpoint:
        raise QueueUnavailableError("the URL of a queue or server must not have a user or password in it")
    if re.match(r"https?://", text):
        parts = urlsplit(text)
        amazon = re.fullmatch(r"(?:sqs\.([\w-]+)|([\w-]+)\.queue)\.amazonaws\.com(?:\.cn)?", parts.hostname or "")
        region = region_name or (amazon[1] or amazon[2] if amazon else "")
        server = endpoint or ("" if amazon else f"{parts.scheme}://{parts.netloc}")
        place = _Place(parts.path.rpartition("/")[2], text, region, server)
    else:
        place = _Place(text, "", region_name, endpoint)
    if not re.fullmatch(r"[\w-]{1,80}", place.name, re.ASCII):
        raise QueueUnavailableError(
            f"sqs://{place.name}: the name of a standard queue has up to 80 letters, digits, - and _; "
            "those that keep the order (.fifo) are not for this"
        )
    return place


def _connect(place: _Place) -> Any:
    """A client of boto3. Nothing is asked yet."""
    # Slow to import, and needed by nobody else.
    import boto3.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=2 * SENDERS,
        user_agent_extra=f"cvbatch/{__version__}",
    )
    try:
        found = find_credentials(Location("s3", "", place.endpoint))
        # Without keys in a file or the environment boto3 finds the rest by itself, and renews it in time.
        keys = found.settings
        session = boto3.session.Session(
            keys.get("access_key_id"), keys.get("secret_access_key"), keys.get("session_token")
        )
        region = place.region or found.region or session.region_name or _region() or DEFAULT_REGION
        return session.client("sqs", region_name=region, endpoint_url=place.endpoint or None, config=config)
    except (AuthenticationError, BotoCoreError, ValueError) as error:
        raise QueueUnavailableError(f"{place.url}: {error}") from None


def _region() -> str:
    # boto3 itself reads only AWS_DEFAULT_REGION.
    return os.environ.get("AWS_REGION", "")


class _Service:
    """Requests about one queue, from all threads of a process."""

    def __init__(self, place: _Place) -> None:
        self.place = place
        self._client = _connect(place)

    def ask(self, action: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request. Raises QueueError."""
        try:
            return self.try_to(action, **arguments)
        except _RefusedError as refusal:
            raise refusal.error from refusal.__cause__

    def try_to(self, action: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request. Raises :class:`_RefusedError` where that is an error."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, action)(**arguments)
        except ClientError as error:
            refusal = self._refusal(error)
            # What is said about a signature repeats what was signed, and a token is part of that.
            raise refusal from (None if refusal.code in UNKNOWN_CALLER else error)
        except BotoCoreError as error:
            kind = QueueUnavailableError if type(error).__name__ in LASTING else QueueError
            raise kind(f"cannot reach {self.place.url}: {error}") from error
        return answer

    def _refusal(self, error: Any) -> _RefusedError:
        """What an answer means, and what there is to do about it."""
        url, right = self.place.url, RIGHTS.get(error.operation_name, error.operation_name)
        answer = error.response.get("Error", {})
        code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))[:300]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind: type[QueueError] = QueueUnavailableError
        if code in ABSENT:
            text = f"{url}: there is no such queue in this region and account. `cvbatch queue create {url}` makes one"
        elif code in UNKNOWN_CALLER:
            text = f"{url}: the service does not accept the credentials ({code}). Renew or replace them"
        elif code in DENIED:
            text = f"{url}: access denied ({code}). It needs sqs:{right}"
        else:
            kind = QueueError if code in PASSING or not 400 <= status < 500 else QueueUnavailableError
            text = f"{url}: {error.operation_name} failed ({code}: {message})"
        return _RefusedError(code, kind(text))

    @cached_property
    def queue_url(self) -> str:
        """What SQS calls the queue by. Raises :class:`QueueUnavailableError` where it isn't there."""
        if self.place.queue_url:
            return self.place.queue_url
        url: str = self.ask("get_queue_url", QueueName=self.place.name)["QueueUrl"]
        return url

    def make(self, name: str, attributes: dict[str, str]) -> str:
        """Make a queue, or adapt the one that is there; returns its URL."""
        # Asked for with attributes, SQS would refuse a queue that has others.
        url: str = self.ask("create_queue", QueueName=name)["QueueUrl"]
        self.ask("set_queue_attributes", QueueUrl=url, Attributes=attributes)
        return url

    def send_to_the_dead(self, body: str) -> bool:
        """Send a message to the queue beside this one; False where there is none."""
        try:
            dead = self.try_to("get_queue_url", QueueName=f"{self.place.name}-dead")["QueueUrl"]
        except _RefusedError:
            return False
        self.ask("send_message", QueueUrl=dead, MessageBody=body)
        return True

    def close(self) -> None:
        self._client.close()


class SqsHeld:
    """A message out of a :class:`SqsQueue`."""

    def __init__(
        self, service: _Service, message: dict[str, Any], lease_seconds: int, now: Callable[[], float]
    ) -> None:
        self.body: str = message["Body"]
        self._service = service
        self._receipt: str = message["ReceiptHandle"]
        self._now = now
        self._received = now()
        # Until when it is ours, by our clock.
        self._until = self._received + lease_seconds
        # Another thread may extend the lease while this one ends it.
        self._lock = threading.Lock()

    def extend(self, lease_seconds: float) -> bool:
        with self._lock:
            begin = self._now()
            seconds = _lease(lease_seconds, MOST_LEASE - (begin - self._received))
            if seconds < 1 or not self._ours("change_message_visibility", VisibilityTimeout=seconds):
                return False
            self._until = begin + seconds
            return True

    def ack(self) -> bool:
        with self._lock:
            return self._end("delete_message")

    def bury(self) -> bool:
        """Put it into ``NAME-dead``, or hand it back where there is no such queue."""
        with self._lock:
            if self._now() >= self._until:
                return False
            if self._service.send_to_the_dead(self.body):
                return self._end("delete_message")
        return self.release(MOST_DELAY)

    def release(self, delay_seconds: float = 0) -> bool:
        with self._lock:
            seconds = _lease(delay_seconds, MOST_LEASE - (self._now() - self._received))
            return self._end("change_message_visibility", VisibilityTimeout=seconds)

    def _end(self, action: str, **arguments: int) -> bool:
        was_ours = self._ours(action, **arguments)
        self._until = -math.inf
        return was_ours

    def _ours(self, action: str, **arguments: int) -> bool:
        """Do something with the message; False where it may be somebody else's by now."""
        if self._now() >= self._until:
            return False
        service = self._service
        try:
            service.try_to(action, QueueUrl=service.queue_url, ReceiptHandle=self._receipt, **arguments)
        except _RefusedError as refusal:
            if refusal.code in STALE:
                self._until = -math.inf
                return False
            raise refusal.error from refusal.__cause__
        return True


def _lease(seconds: float, most: float = MOST_LEASE) -> int:
    """A time as SQS takes it: whole seconds, and at most 12 hours from the receipt on."""
    return max(0, min(math.ceil(seconds), math.floor(most)))


class SqsQueue:
    """A standard queue of SQS, by its name or its URL. ``now`` is the clock by which leases end."""

    def __init__(
        self, name_or_url: str, region_name: str = "", endpoint: str = "", now: Callable[[], float] = time.monotonic
    ) -> None:
        place = _parse(name_or_url, region_name, endpoint)
        self.url = place.url
        self._service = _Service(place)
        self._now = now

    def send(self, bodies: Iterable[str], delay_seconds: float = 0) -> None:
        """Add messages. Where it fails in the middle, some were sent."""
        delay = min(math.ceil(max(0.0, delay_seconds)), MOST_DELAY)
        batches = _batches(bodies)
        with ThreadPoolExecutor(SENDERS) as pool:
            while some := list(itertools.islice(batches, SENT_TOGETHER)):
                for _ in pool.map(partial(self._send, delay), some):
                    pass

    def _send(self, delay: int, bodies: list[str]) -> None:
        waiting = {str(number): body for number, body in enumerate(bodies)}
        pause = FIRST_PAUSE
        for _ in range(ENTRY_TRIES):
            failures = self._try_to_send(delay, waiting)
            if not waiting:
                return
            time.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311 - nothing secret
            pause = min(2 * pause, LONGEST_PAUSE)
        reasons = ", ".join(sorted({f"{failure['Code']}" for failure in failures}))
        raise QueueError(f"{self.url}: {len(waiting)} messages were not taken in {ENTRY_TRIES} tries ({reasons})")

    def _try_to_send(self, delay: int, waiting: dict[str, str]) -> list[dict[str, Any]]:
        """Send what is waiting, and take out what has arrived; returns what SQS says of the rest."""
        entries = [{"Id": key, "MessageBody": body, "DelaySeconds": delay} for key, body in waiting.items()]
        answer = self._service.ask("send_message_batch", QueueUrl=self._service.queue_url, Entries=entries)
        for sent in answer.get("Successful", []):
            waiting.pop(sent["Id"], None)
        failures: list[dict[str, Any]] = answer.get("Failed", [])
        for failure in failures:
            if failure.get("SenderFault"):
                raise QueueUnavailableError(
                    f"{self.url} does not take a message ({failure['Code']}: {failure.get('Message', '')})"
                )
        return failures

    def receive(self, lease_seconds: float, wait_seconds: float = 0) -> SqsHeld | None:
        """A message. Without waiting, SQS asks only some of its servers: None doesn't mean that there is nothing."""
        lease = max(1, _lease(lease_seconds))
        deadline = time.monotonic() + wait_seconds
        while True:
            wait = min(MOST_WAIT, math.ceil(max(0.0, deadline - time.monotonic())))
            answer = self._service.ask(
                "receive_message",
                QueueUrl=self._service.queue_url,
                MaxNumberOfMessages=1,
                VisibilityTimeout=lease,
                WaitTimeSeconds=wait,
            )
            for message in answer.get("Messages", []):
                return SqsHeld(self._service, message, lease, self._now)
            if time.monotonic() >= deadline:
                return None

    def counts(self) -> QueueCounts:
        """What SQS says, which follows what happens by up to a minute."""
        hidden, names = (
            "ApproximateNumberOfMessagesNotVisible",
            (
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesDelayed",
            ),
        )
        answer = self._service.ask(
            "get_queue_attributes", QueueUrl=self._service.queue_url, AttributeNames=[hidden, *names]
        )
        numbers = answer["Attributes"]
        return QueueCounts(sum(int(numbers[name]) for name in names), int(numbers[hidden]))

    def create(self, lease_seconds: float) -> None:
        """Make the queue, or adapt the one that is there, and one beside it (``NAME-dead``).

        Messages that were received a thousand times end up in that one, as a last net: a failure is counted elsewhere,
        and a message that comes back from so many workers keeps them from the others.
        """
        service, name = self._service, self._service.place.name
        keep = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
        dead = service.make(f"{name}-dead", keep)
        about = service.ask("get_queue_attributes", QueueUrl=dead, AttributeNames=["QueueArn"])
        redrive = {"deadLetterTargetArn": about["Attributes"]["QueueArn"], "maxReceiveCount": MOST_RECEIVES}
        lease = str(max(1, _lease(lease_seconds)))
        made = service.make(name, {**keep, "VisibilityTimeout": lease, "RedrivePolicy": json.dumps(redrive)})
        given = service.place.queue_url
        if given and urlsplit(given).path != urlsplit(made).path:
            raise QueueUnavailableError(f"{self.url}: that is in another account; made {made} instead")

    def release_all(self) -> None:
        raise QueueUnavailableError(
            f"{self.url}: SQS can't take back messages that are held; they come back when their leases end"
        )

    def purge(self) -> None:
        """Remove all messages; SQS takes up to a minute, in which it should be left alone."""
        self._service.ask("purge_queue", QueueUrl=self._service.queue_url)

    def close(self) -> None:
        self._service.close()


def _batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    """Bodies in lists that are not too long for one request."""
    batch: list[str] = []
    nbytes = 0
    for body in bodies:
        size = len(body.encode())
        if batch and (len(batch) == MOST_ENTRIES or nbytes + size > MOST_BYTES):
            yield batch
            batch, nbytes = [], 0
        batch.append(body)
        nbytes += size
    if batch:
        yield batch
