"""One client a bucket: its connections, its turns, and when a failed request is sent again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from cvbatch.errors import StorageError
from cvbatch.storage.connect import Manner, connect
from cvbatch.storage.credentials import Credentials, find_credentials
from cvbatch.storage.failures import Attempt, Failure, as_our_error, failure_of
from cvbatch.storage.options import StoreOptions
from cvbatch.storage.throttle import Throttle
from cvbatch.storage.url import Location

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ObjectStore, RetryConfig

T = TypeVar("T")
# A request is not begun again later than this after its first try, and much sooner where nobody has ever answered:
# then the path is wrong rather than the network busy.
DEADLINE_SECONDS, FIRST_CONTACT_SECONDS = 15.0, 5.0
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 3.0
# While we send, no byte comes.
SENDING = 5
MOST_CLIENTS = 64
TAKES_GZIP = MappingProxyType({"Accept-Encoding": "gzip"})


class WebPageError(Exception):
    """A web page came where an object should be. Raised inside a request, which is then sent again."""


@dataclass
class BucketClient:
    """Requests to one bucket or server, from all threads of this process. ``location`` is the bucket's own."""

    location: Location
    throttle: Throttle = field(default_factory=Throttle)
    _answered: bool = False

    @cached_property
    def credentials(self) -> Credentials:
        """Who asks. Raises :class:`~cvbatch.errors.AuthenticationError`."""
        return find_credentials(self.location)

    @cached_property
    def reads(self) -> ObjectStore:
        """For requests whose answers should come at once."""
        # Without this header Google and some web servers decompress what they send, or don't find it.
        headers = {} if self.location.protocol == "s3" else TAKES_GZIP
        return self._connected(Manner(self.location.options.stall_seconds, headers=headers))

    @cached_property
    def other_reads(self) -> ObjectStore:
        """For servers that don't say how long their answer is when they are asked in the first way.

        Web servers compress on the way then, and don't if they are not told that they may. Google streams large gzip
        objects over HTTP 1.1 (apache/arrow-rs-object-store, issue 774), and not over HTTP 2.
        """
        stall_seconds = self.location.options.stall_seconds
        if self.location.protocol == "gs":
            return self._connected(Manner(stall_seconds, headers=TAKES_GZIP, http2=True))
        return self._connected(Manner(stall_seconds))

    @cached_property
    def writes(self) -> ObjectStore:
        """For objects that are sent, and of which nothing is heard until they are there."""
        return self._connected(Manner(SENDING * self.location.options.stall_seconds))

    @cached_property
    def multipart(self) -> ObjectStore:
        """For large objects, whose parts this client sends again by itself."""
        delays: BackoffConfig = {
            "init_backoff": timedelta(seconds=FIRST_DELAY_SECONDS),
            "max_backoff": timedelta(seconds=LONGEST_DELAY_SECONDS),
            "base": 2,
        }
        again: RetryConfig = {
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=DEADLINE_SECONDS),
            "backoff": delays,
        }
        return self._connected(Manner(SENDING * self.location.options.stall_seconds, again))

    def _connected(self, manner: Manner) -> ObjectStore:
        return connect(self.location, self.credentials, manner)

    def call(self, action: str, key: str, request: Callable[[], T]) -> T | None:
        """What a request gives, None where the object is absent.

        Sent again, later and later, while that can help; what is given up raises
        :class:`~cvbatch.errors.StorageError`.
        """
        # The client's own way to send again is not used: it does not go on where a body breaks off, and hides from us
        # that the store pushes back.
        begin, tries, delay = time.monotonic(), 0, FIRST_DELAY_SECONDS
        while True:
            tries += 1
            try:
                with self.throttle.turn():
                    answer = request()
            except FileNotFoundError as error:
                self._answered = True
                failure = failure_of(error)
                # Of an object that is written, or a list, nothing but the bucket can be absent.
                if failure.code == "NoSuchBucket" or action in ("write", "list"):
                    raise self._error(failure, action, key, tries) from None
                return None
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the client's own have nothing in common; all become ours
                failure = failure_of(error)
                self._answered |= failure.status > 0
                patience = DEADLINE_SECONDS if self._answered else FIRST_CONTACT_SECONDS
                if not failure.is_transient or time.monotonic() - begin + delay > patience:
                    raise self._error(failure, action, key, tries) from None
                if failure.is_busy:
                    self.throttle.push_back()
                time.sleep(random.uniform(0.5, 1.0) * delay)  # noqa: S311 - nothing secret
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            else:
                self._answered = True
                return answer

    def _error(self, failure: Failure, action: str, key: str, tries: int) -> StorageError:
        return as_our_error(failure, Attempt(self.location, action, key, self.credentials.origin), tries)


def bucket_client(location: Location) -> BucketClient:
    """The client of a location's bucket, the same for all volumes in it that are reached in the same way."""
    path = "" if location.is_server else location.bucket
    # A process that was forked can't use its parent's connections.
    options = replace(location.options, cache_control="")  # Goes with each object.
    return _shared_client(replace(location, path=path, options=options), options, os.getpid())


@lru_cache(MOST_CLIENTS)
def _shared_client(bucket: Location, options: StoreOptions, pid: int) -> BucketClient:
    """``options`` are those of the location, which are not compared there."""
    return BucketClient(bucket)
