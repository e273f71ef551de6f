"""What can go wrong with a call out of the shard. The text of each is what kube-apiserver says in the same place.

Callers tell apart what to do next, not texts: `CalloutError` is any failure; a webhook with failurePolicy Ignore passes
over all but `OverBudget`, which is about us and is answered with 429.
"""

import json
from typing import Any

_SHOWN_BYTES = 2048


class CalloutError(Exception):
    """The call did not give an answer. `str` is the sentence to show, with the URL where one was dialled."""


class InvalidTarget(CalloutError):
    """The configuration names nothing that can be called: URL, CA bundle."""


class OverBudget(CalloutError):
    """The logical cluster has too many calls under way. Nothing was sent; ask again after `retry_after_s`."""

    retry_after_s = 1


class Unreachable(CalloutError):
    """No connection, no TLS, or it broke before an answer was there."""


class AddressRefused(Unreachable):
    """The name leads to an address that a tenant may not have us call."""


class Resting(Unreachable):
    """The target failed so often that it is not asked for a while."""


class TimedOut(CalloutError):
    """Not done before the deadline."""


class UnusableAnswer(CalloutError):
    """An answer that is too large, encoded in a way nobody asked for, or not HTTP."""


class BadStatus(CalloutError):
    """An answer with a code outside 2xx."""

    def __init__(self, code: int, body: bytes, is_text: bool = True) -> None:
        super().__init__(_status_text(code, body, is_text))
        self.code, self.body = code, body


def webhook_failed(name: str, error: CalloutError) -> str:
    """What a client is told when the admission webhook of that name could not be asked."""
    step = "could not get REST client" if isinstance(error, InvalidTarget) else "failed to call webhook"
    return f'failed calling webhook "{name}": {step}: {error}'


_TEXTS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


def _status_text(code: int, body: bytes, is_text: bool) -> str:
    if (told := _told_by_status(body)) is not None:
        return told
    shown = body[:_SHOWN_BYTES].decode(errors="replace").strip() if is_text else "unknown"
    if code in (403, 415):
        return shown
    if code == 406:
        return shown or "the server was unable to respond with a content type that the client supports"
    if code in _TEXTS:
        return _TEXTS[code]
    if code >= 500:
        return f"an error on the server ({json.dumps(shown)}) has prevented the request from succeeding"
    return f"the server responded with the status code {code} but did not return more information"


def _told_by_status(body: bytes) -> str | None:
    """The message of a Status document, if the body is one that tells of a failure."""
    if body[:1] != b"{":
        return None
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if document.get("kind") != "Status" or document.get("apiVersion") != "v1" or document.get("status") == "Success":
        return None
    message = document.get("message")
    return message if isinstance(message, str) and message else None
