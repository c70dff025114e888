"""A proxy in front of moto's SQS, which does what SQS does and moto doesn't."""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from .base import Handler, HttpServer, Server

UPSTREAM_SECONDS = 60.0
# Of moto's answer, what concerns the message and not its connection.
_KEPT = ("content-type", "x-amzn-requestid", "x-amzn-query-error")


class Refusal(NamedTuple):
    """An answer that is given without asking the server."""

    status: int
    code: str
    message: str = "said the test"


class Asked(NamedTuple):
    """A request as it came, with the access key that signed it."""

    action: str
    document: Mapping[str, Any]
    key: str


@dataclass
class _Lease:
    """A message in somebody's hands, by the server's receipt."""

    message_id: str
    receipt: str
    until: float


class SqsProxy:
    """Forwards SQS's JSON protocol to a server.

    It always refuses receipts that are stale, because their time has passed or the message was received again; SQS may
    do so, and moto never does. All else happens when a test asks for it, and may be set while it runs.

    Attributes
    ----------
    refusals
        Answers for the next requests of an action, which the server doesn't get.
    failing_share
        The share of the entries of SendMessageBatch that fail alone, and don't arrive.
    failure
        What is said of those: a code, and whether the sender is at fault.
    duplicates
        How many of the next messages are delivered once more, with another receipt.
    log
        The requests, in the order in which they came.
    """

    def __init__(self, upstream: Server, seed: int = 0) -> None:
        self.upstream = urlsplit(upstream.url)
        self.refusals: dict[str, list[Refusal]] = {}
        self.failing_share = 0.0
        self.failure = ("InternalError", False)
        self.duplicates = 0
        self.log: list[Asked] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._leases: dict[str, _Lease] = {}
        self._latest: dict[str, str] = {}
        self._copies: list[dict[str, Any]] = []
        self._http = HttpServer(type("SqsHandler", (_SqsHandler,), {"proxy": self}))
        self.server = Server(self._http.url, upstream.key, upstream.secret)

    def __enter__(self) -> Self:
        self._http.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()

    def asked(self, action: str) -> list[Mapping[str, Any]]:
        """The documents of all requests of an action."""
        with self._lock:
            return [asked.document for asked in self.log if asked.action == action]

    def before(self, asked: Asked) -> Refusal | dict[str, Any] | None:
        """What a request is answered without the server, if it is."""
        with self._lock:
            self.log.append(asked)
            if self.refusals.get(asked.action):
                return self.refusals[asked.action].pop(0)
            if asked.action == "ReceiveMessage" and self._copies:
                copy = self._copies.pop()
                lease = self._leases[copy["ReceiptHandle"]]
                copy["ReceiptHandle"] = f"copy-{copy['ReceiptHandle']}"
                self._lease(copy, lease.receipt, asked.document)
                return {"Messages": [copy]}
            lease = self._leases.get(asked.document.get("ReceiptHandle", ""))
            if lease is None or not self._is_stale(lease, asked.document["ReceiptHandle"]):
                return None
        if asked.action == "DeleteMessage":
            return Refusal(400, "ReceiptHandleIsInvalid", "The receipt handle has expired")
        return Refusal(400, "InvalidParameterValue", "Reason: Message does not exist or is not available")

    def forwarded(self, asked: Asked) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the server gets of a request, and the entries that fail before they get there."""
        document = dict(asked.document)
        with self._lock:
            lease = self._leases.get(document.get("ReceiptHandle", ""))
            if lease is not None:
                document["ReceiptHandle"] = lease.receipt
            if asked.action != "SendMessageBatch":
                return document, []
            failing = {entry["Id"] for entry in document["Entries"] if self._random.random() < self.failing_share}
        document["Entries"] = [entry for entry in document["Entries"] if entry["Id"] not in failing]
        code, at_fault = self.failure
        return document, [{"Id": key, "Code": code, "Message": code, "SenderFault": at_fault} for key in failing]

    def after(self, asked: Asked, answer: dict[str, Any]) -> None:
        """Note who holds what."""
        with self._lock:
            for message in answer.get("Messages", []):
                self._lease(message, message["ReceiptHandle"], asked.document)
                if self.duplicates > 0:
                    self.duplicates -= 1
                    self._copies.append(dict(message))
            if asked.action == "ChangeMessageVisibility":
                lease = self._leases.get(asked.document["ReceiptHandle"])
                if lease is not None:
                    lease.until = time.monotonic() + asked.document["VisibilityTimeout"]

    def _lease(self, message: dict[str, Any], receipt: str, request: Mapping[str, Any]) -> None:
        until = time.monotonic() + request.get("VisibilityTimeout", 30)
        self._leases[message["ReceiptHandle"]] = _Lease(message["MessageId"], receipt, until)
        self._latest[message["MessageId"]] = message["ReceiptHandle"]

    def _is_stale(self, lease: _Lease, receipt: str) -> bool:
        return time.monotonic() > lease.until or self._latest[lease.message_id] != receipt


class _SqsHandler(Handler):
    """One connection of a client, with one to the server."""

    proxy: SqsProxy

    def handle(self) -> None:
        place = self.proxy.upstream
        self.upstream = http.client.HTTPConnection(place.hostname or "", place.port, timeout=UPSTREAM_SECONDS)
        try:
            super().handle()
        finally:
            self.upstream.close()

    def do_POST(self) -> None:
        document = json.loads(self.request_body())
        key = re.search(r"Credential=([^/]*)/", self.headers.get("Authorization", ""))
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        asked = Asked(action, document, key[1] if key else "")
        answer = self.proxy.before(asked)
        if isinstance(answer, Refusal):
            self._refuse(answer)
        elif answer is not None:
            self._say(200, {}, answer)
        else:
            self._forward(asked)

    def _forward(self, asked: Asked) -> None:
        document, failed = self.proxy.forwarded(asked)
        if failed and not document["Entries"]:
            self._say(200, {}, {"Successful": [], "Failed": failed})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        self.upstream.request("POST", self.path, json.dumps(document).encode(), headers)
        with self.upstream.getresponse() as response:
            data = response.read()
            kept = {name: value for name, value in response.getheaders() if name.lower() in _KEPT}
        answer = json.loads(data or b"{}")
        if response.status == 200:
            self.proxy.after(asked, answer)
        if failed:
            answer["Failed"] = [*answer.get("Failed", []), *failed]
        self._say(response.status, kept, answer)

    def _refuse(self, refusal: Refusal) -> None:
        headers = {"x-amzn-query-error": f"{refusal.code};Sender", "Content-Type": "application/x-amz-json-1.0"}
        document = {"__type": f"com.amazonaws.sqs#{refusal.code}", "message": refusal.message}
        self._say(refusal.status, headers, document)

    def _say(self, status: int, headers: Mapping[str, str], document: Mapping[str, Any]) -> None:
        self.answer(status, headers, json.dumps(document).encode())
