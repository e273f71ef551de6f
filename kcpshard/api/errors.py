"""Everything a client may be told went wrong: the ApiError tree and the Status document.

Decides the HTTP code and `reason` of each fault (apimachinery `StatusReason`); leaves to `rpc.status_codes` and
the front how it travels.

    ApiError
    ├── BadRequest 400              ├── Gone/Expired 410
    ├── Unauthorized 401            ├── RequestEntityTooLarge 413
    ├── Forbidden 403               ├── UnsupportedMediaType 415
    ├── NotFound 404                ├── Invalid 422
    ├── MethodNotAllowed 405        ├── TooManyRequests 429
    ├── NotAcceptable 406           ├── InternalError 500
    ├── AlreadyExists 409           ├── ServiceUnavailable 503
    ├── Conflict 409                └── Timeout 504, ServerTimeout 500
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson


class Cause(NamedTuple):
    """One entry of `status.details.causes`. `reason` is a CauseType: FieldValueRequired, FieldValueInvalid, …"""

    reason: str
    message: str
    field: str = ""


class FieldError(NamedTuple):
    """One fault in a submitted object: where, which CauseType, and the sentence as kube-apiserver words it.

    `detail` is the sentence after the path: `Invalid value: "A": a lowercase RFC 1123 label must …`.
    """

    field: str
    reason: str
    detail: str

    def cause(self) -> Cause:
        return Cause(self.reason, self.detail, self.field)

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid(field: str, value: object, detail: str) -> FieldError:
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate(field: str, value: object) -> FieldError:
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def not_supported(field: str, value: object, supported: Iterable[str]) -> FieldError:
    listed = ", ".join(_shown(v) for v in sorted(supported))
    return FieldError(
        field, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {listed}"
    )


def too_long(field: str, limit: int) -> FieldError:
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} byte{_s(limit)}")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    return FieldError(field, "FieldValueTooMany", f"Too many: {actual}: must have at most {limit} item{_s(limit)}")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def type_invalid(field: str, value: object, detail: str) -> FieldError:
    return FieldError(field, "FieldValueTypeInvalid", f"Invalid value: {_shown(value)}: {detail}")


def _shown(value: object) -> str:
    """A value as Kubernetes' field errors show it (Go %q for strings, JSON for the rest)."""
    return orjson.dumps(value).decode()


class ApiError(Exception):
    """Anything a client may be told. The class carries code and reason; what varies goes into details and causes."""

    code: int = 500
    reason: str = ""
    warnings: Sequence[str] = ()  # for `Warning:` headers beside the error
    audit: bytes = b""  # as Answer.audit
    content_type: str = ""  # of what is no Status document

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after_s: int = 0,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.name, self.group, self.kind, self.uid = name, group, kind, uid
        self.causes = causes
        self.retry_after_s = retry_after_s
        self.continue_token = continue_token  # metadata.continue: where an expired list may go on

    def details(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "group": self.group, "kind": self.kind, "uid": self.uid}
        found["causes"] = [{k: v for k, v in c._asdict().items() if v} for c in self.causes]
        found["retryAfterSeconds"] = self.retry_after_s
        return {k: v for k, v in found.items() if v}

    def status(self) -> dict[str, Any]:
        """The metav1.Status document."""
        document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            document["reason"] = self.reason
        if details := self.details():
            document["details"] = details
        document["code"] = self.code
        return document

    def body(self) -> bytes:
        return orjson.dumps(self.status())


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"
    decision: str | None = None  # of an authoriser: the reason it gave


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(ApiError):
    """The resourceVersion or continue token is older than our history: list again."""

    code, reason = 410, "Expired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class FlowRefused(TooManyRequests):
    """No seat in the priority level, and no place in its queues: as the filter of kube-apiserver says it."""

    content_type = "text/plain; charset=utf-8"

    def __init__(self) -> None:
        super().__init__("Too many requests, please try again later.", retry_after_s=1)

    def body(self) -> bytes:
        return b"Too many requests, please try again later.\n"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServerTimeout(ApiError):
    """Not done in time; safe to ask again after `retry_after_s`."""

    code, reason = 500, "ServerTimeout"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    """The deadline passed; a write may or may not have taken effect."""

    code, reason = 504, "Timeout"


class ForeignStatus(ApiError):
    """A refusal in the words of somebody else, a webhook: its Status document is the answer."""

    code, reason = 500, "InternalError"

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("message", "")))
        self.document = document
        self.code, self.reason = int(document.get("code", 500)), str(document.get("reason", ""))

    def status(self) -> dict[str, Any]:
        return self.document


class PageNotFound(NotFound):
    """A path in which no API group has a part: the multiplexer's answer, not a Status."""

    content_type = "text/plain; charset=utf-8"

    def __init__(self) -> None:
        super().__init__("404 page not found")

    def body(self) -> bytes:
        return b"404 page not found\n"


def resource_not_found() -> NotFound:
    """An unknown path or resource type, as kube-apiserver words it for structured clients."""
    return NotFound("the server could not find the requested resource")


def internal_error(text: str) -> InternalError:
    """As k8s.io/apimachinery `NewInternalError`."""
    return InternalError(f"Internal error occurred: {text}", causes=(Cause("", text),))


def object_not_found(group: str, plural: str, name: str) -> NotFound:
    return NotFound(f'{_qualified(plural, group)} "{name}" not found', name=name, group=group, kind=plural)


def object_exists(group: str, plural: str, name: str) -> AlreadyExists:
    return AlreadyExists(f'{_qualified(plural, group)} "{name}" already exists', name=name, group=group, kind=plural)


def object_conflict(group: str, plural: str, name: str, detail: str) -> Conflict:
    message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {detail}'
    return Conflict(message, name=name, group=group, kind=plural)


def object_invalid(group: str, kind: str, name: str, faults: Sequence[FieldError]) -> Invalid:
    """422 with one cause per fault, worded as k8s.io/apimachinery `NewInvalid`. Note: `kind` is CamelCase here."""
    listed = str(faults[0]) if len(faults) == 1 else "[" + ", ".join(map(str, faults)) + "]"
    message = f'{_qualified(kind, group)} "{name}" is invalid: {listed}'
    return Invalid(message, name=name, group=group, kind=kind, causes=[f.cause() for f in faults])


def _qualified(word: str, group: str) -> str:
    return f"{word}.{group}" if group else word
