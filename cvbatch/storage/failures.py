"""What went wrong at an object store, from the words of its client."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cvbatch.errors import AuthenticationError, ForbiddenError, StorageError, WrongPlaceError
from cvbatch.storage.url import Location

# Answers after which the same request may succeed.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
UNAUTHORIZED, FORBIDDEN = 401, 403
BUSY_STATUSES = frozenset({429, 503})
# Errors of the client behind which anything can be, a server of tokens that is out of order too, and ours.
MAY_PASS = frozenset({"GenericError", "UnauthenticatedError", "JoinError", "ConnectionError", "WebPageError"})
# Codes of S3's answers that mean: we don't know you.
UNKNOWN_CALLER = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed",
        "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException",
    }
)  # fmt: skip
OTHER_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
REDIRECTIONS = (301, 307)
PERMISSIONS = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject", "list": "s3:ListBucket"}


@dataclass(frozen=True)
class Failure:
    """A failed request. ``status`` is 0 where no answer came; ``code`` and ``message`` are S3's own words."""

    status: int
    code: str
    message: str
    cause: str
    name: str

    @property
    def is_busy(self) -> bool:
        """Whether the store asks for fewer requests."""
        return self.status in BUSY_STATUSES or self.code in ("SlowDown", "TooManyRequests")

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        if self.is_unknown_caller or self.is_refusal or self.name not in MAY_PASS:
            return False
        if self.status:
            return self.status in TRANSIENT_STATUSES or self.code in ("SlowDown", "RequestTimeout")
        return not (self.is_elsewhere or self._is_tls or "MissingContentLength" in self.cause)

    @property
    def is_unknown_caller(self) -> bool:
        """Whether the store does not accept the credentials."""
        return self.code in UNKNOWN_CALLER or self.status == UNAUTHORIZED

    @property
    def is_refusal(self) -> bool:
        """Whether the caller is known, and may not."""
        # Of lists and of deleting many the client tells it only in words.
        return self.name == "PermissionDeniedError" or self.status == FORBIDDEN or "AccessDenied" in self.cause

    @property
    def is_elsewhere(self) -> bool:
        """Whether the bucket is in another region."""
        return self.code in OTHER_REGION or self.status in REDIRECTIONS or "without LOCATION" in self.cause

    @property
    def _is_tls(self) -> bool:
        return any(sign in self.cause for sign in ("InvalidCertificate", "InvalidContentType", "AlertReceived"))


def failure_of(error: Exception) -> Failure:
    """What the client's error says. Its classes tell refusals; of all else it has only words."""
    text = str(error)
    status = re.search(r"status code: (\d{3})", text) or re.search(r"status: (\d{3})", text)
    code, message = re.search(r"<Code>(\w+)</Code>", text), re.search(r"<Message>([^<]*)", text)
    return Failure(
        int(status[1]) if status else 0,
        code[1] if code else "",
        message[1] if message else "",
        text,
        type(error).__name__,
    )


@dataclass(frozen=True)
class Attempt:
    """What was tried: an action on a key of a bucket, and as whom."""

    location: Location
    action: str
    key: str
    who: str


def as_our_error(failure: Failure, attempt: Attempt, tries: int) -> StorageError:
    """The error for a request that is given up: names the place, who asked, and what to change."""
    location, action = attempt.location, attempt.action
    said = f"{failure.status or ''} {failure.code or 'AccessDenied' * failure.is_refusal}".strip() + (
        f": {failure.message}" if failure.message else ""
    )
    attempted = f"cannot {action} {location.url}/{attempt.key}".rstrip("/") + f" as {attempt.who}"
    kind, words = _diagnosis(failure, location, action, said)
    times = f" after {tries} tries" if tries > 1 else ""
    return kind(f"{attempted}{times}: {words}")


def _diagnosis(failure: Failure, location: Location, action: str, said: str) -> tuple[type[StorageError], str]:
    """What kind of error it is, and what there is to say and to do about it."""
    if failure.is_unknown_caller:
        kind: type[StorageError] = AuthenticationError
        words = (
            f"the store does not accept the credentials ({said}). Renew or replace them; "
            "`cvbatch doctor` shows where they come from"
        )
    elif failure.code == "NoSuchBucket" or failure.name == "FileNotFoundError":
        kind, words = WrongPlaceError, f"there is no bucket {location.bucket!r} ({said}). Is the name right?"
    elif failure.is_elsewhere:
        kind = WrongPlaceError
        words = (
            f"the bucket is in another region than the one that was asked{f' ({said})' * bool(said)}. Set region_name"
        )
    elif failure.is_refusal:
        kind, words = ForbiddenError, _refusal(location, action, said)
    elif failure.is_transient:
        kind, words = StorageError, _reason(failure, location)
    elif failure.status:
        kind, words = WrongPlaceError, f"the store refuses the request ({said})"
    else:
        kind, words = WrongPlaceError, _reason(failure, location)
    return kind, words


def _refusal(location: Location, action: str, said: str) -> str:
    words = f"access denied ({said})"
    if location.protocol == "s3":
        words += f". It needs {PERMISSIONS[action]}"
        if action == "read":
            words += ". S3 says the same of a missing object to who may not list the bucket (s3:ListBucket)"
    return words


def _reason(failure: Failure, location: Location) -> str:
    """Why no useful answer came."""
    where = location.endpoint or location.url
    for sign, words in (
        ("dns error", f"the name of {where} does not resolve. Is endpoint right, and the network there?"),
        ("ConnectionRefused", f"{where} refuses connections. Is endpoint right, and the server running?"),
        ("InvalidCertificate", f"the certificate of {where} cannot be trusted. Is it the right server?"),
        ("InvalidContentType", f"{where} does not speak TLS. Should endpoint begin with http://?"),
        ("AlertReceived", f"{where} and this machine cannot agree on TLS"),
        ("MissingContentLength", "the server does not say how long its answer is, which could then be cut unnoticed"),
        ("kind: Timeout", "no answer, or no further byte, for too long (stall_seconds)"),
        ("kind: Interrupted", "the connection broke in the middle of the answer"),
        ("WebPage", "a web page came instead of the object. Is there a proxy or a login page in between?"),
        ("NotPartial", "the server ignores ranges"),
    ):
        if sign in failure.cause:
            return words
    if failure.status:
        return f"the store answered {failure.status} {failure.code}".rstrip()
    return failure.cause.partition("\n\nDebug source")[0]
