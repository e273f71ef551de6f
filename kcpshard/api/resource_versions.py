"""Revision ↔ resourceVersion, the match rules of list and watch, and continue tokens.

A revision is microseconds since the epoch × 1 000 + shard number: 19 digits until the year 2262. The
resourceVersion is its decimal form. Source of the rules: Kubernetes API concepts, "resource versions".
"""

import base64
import binascii
import re
from typing import NamedTuple, NewType

import orjson

from kcpshard.api.errors import BadRequest, Expired, FieldError, Invalid, forbidden, invalid, object_invalid

Revision = NewType("Revision", int)

DIGITS = 19
MAX_SHARD = 999
PLACEHOLDER = b"0" * DIGITS


def revision_at(microseconds: int, shard: int) -> Revision:
    return Revision(microseconds * 1000 + shard)


def next_revision(last: int, now_microseconds: int, shard: int) -> Revision:
    """The revision for a commit now: strictly above `last`, of this shard, never behind the clock's backward step."""
    wanted = now_microseconds * 1000 + shard
    if wanted > last:
        return Revision(wanted)
    return Revision((last // 1000 + 1) * 1000 + shard)


def format_revision(revision: int) -> str:
    return f"{revision:019d}"


def revision_microseconds(revision: int) -> int:
    return revision // 1000


def parse_resource_version(text: str, field: str = "resourceVersion") -> int:
    """The revision a client named; "" and "0" are 0. Raises BadRequest for anything but an unsigned decimal."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        fault = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
        raise Invalid(
            f'{field}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {fault}',
            causes=[FieldError(field, "FieldValueInvalid", f'Invalid value: "{text}"').cause()],
        )
    return int(text)


class ListRevision(NamedTuple):
    """What state a list must show: exactly `exact`, or anything at least `minimum`; both 0: the newest."""

    exact: int = 0
    minimum: int = 0


def list_revision(resource_version: str, match: str, limit: int, continue_token: str) -> ListRevision:
    """The resourceVersion / resourceVersionMatch / limit matrix of list. Raises Invalid for illegal combinations."""
    faults = _match_faults(resource_version, match, continue_token) if match else ()
    if faults:
        raise object_invalid("meta.k8s.io", "ListOptions", "", faults)
    if continue_token:
        if resource_version not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        return _NEWEST
    if resource_version in ("", "0"):
        return _NEWEST
    try:
        revision = parse_resource_version(resource_version)
    except Invalid as error:
        raise BadRequest(f"invalid resource version: {error.message}") from None
    if not revision:
        return _NEWEST
    if match == "Exact" or (not match and limit):
        return ListRevision(exact=revision)
    return ListRevision(minimum=revision)


def _match_faults(resource_version: str, match: str, continue_token: str) -> list[FieldError]:
    field = "resourceVersionMatch"
    faults: list[FieldError] = []
    if not resource_version:
        faults.append(forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if continue_token:
        faults.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("Exact", "NotOlderThan"):
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        faults.append(FieldError(field, "FieldValueNotSupported", text))
    if match == "Exact" and resource_version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        faults.append(forbidden(field, text))
    return faults


_NEWEST = ListRevision()


class ContinueToken(NamedTuple):
    """Where a paged list goes on: the state at `revision`, after `namespace`/`name`, of incarnation `cluster_id`.

    A revision of 0 means the newest state (the first page's state was compacted; the list is then inconsistent, as the
    client accepted by using the token that came with the 410). `remaining` is how many objects follow, -1 if nobody
    counted: at a fixed revision it is exact, so each page only subtracts itself.
    """

    cluster_id: int
    revision: int
    namespace: str
    name: str
    remaining: int = -1


def encode_continue(token: ContinueToken) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(["k1", *token])).rstrip(b"=").decode()


def decode_continue(text: str) -> ContinueToken:
    """Raises BadRequest for a token we did not make; Expired is decided by whoever knows incarnations."""
    if (fault := _base64_fault(text)) >= 0:
        raise BadRequest(
            f"invalid continue token: continue key is not valid: illegal base64 data at input byte {fault}"
        )
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raw = None
    match raw:
        case ["k1", int(cluster_id), int(revision), str(namespace), str(name), int(remaining)]:
            return ContinueToken(cluster_id, revision, namespace, name, remaining)
    raise BadRequest("invalid continue token: continue key is not valid: it was not made by this server")


_BASE64_RUN = re.compile(r"[A-Za-z0-9_-]*")


def _base64_fault(text: str) -> int:
    """Where Go's unpadded URL encoding stops reading; -1 for a text that it reads whole."""
    found = _BASE64_RUN.match(text)
    good = found.end() if found is not None else 0
    if good < len(text):
        return good
    return good - 1 if good % 4 == 1 else -1


def expired(revision: int, oldest: int) -> Expired:
    """The wording that client-go's reflector and `kubectl --chunk-size` know as "list again"."""
    return Expired(f"too old resource version: {revision} ({oldest})")


def expired_list() -> Expired:
    """A list at an exact revision that is no longer kept."""
    return Expired("The resourceVersion for the provided list is too old.")


def expired_continue(token: str) -> Expired:
    """410 for a page whose state is gone; `token` goes on with the newest state, if the client does not mind."""
    return Expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        continue_token=token,
    )


def validate_revision_field(value: object) -> list[FieldError]:
    """metadata.resourceVersion of a submitted object."""
    if value is None or (isinstance(value, str) and (value == "" or (value.isascii() and value.isdigit()))):
        return []
    return [invalid("metadata.resourceVersion", value, "must be an unsigned decimal number")]
