"""One request at one stage → an audit.k8s.io/v1 Event as a line of JSON. Pure.

Everything is at hand already: what the shard says of the request (`Response.audit`), the identity, the two bodies. A
body is decoded only to be told or to name what the path does not name.
"""

import datetime
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from kcpfront.audit.policy import LEVELS, METADATA, RECEIVED, REQUEST, REQUEST_RESPONSE, STAGES
from kcpfront.audit.trace import Trace
from kcpfront.exchange import Exchange
from kcpfront.request_info import RequestInfo

CLUSTER = "kcp.io/cluster"
_DECISION, _REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
_TRUNCATED = "audit.k8s.io/truncated"
# Larger bodies are neither told nor looked into: decoding and encoding one takes a millisecond for each 100 kB.
_BODY_BYTES = 256 * 1024
_MAX_USER_AGENT = 1024
_VERB_OF = {"HEAD": "get"}  # of what nobody serves
_STATUS_MEMBERS = ("status", "message", "reason", "details", "code")
_IS_STATUS = re.compile(rb'\{\s*"(?:kind"\s*:\s*"Status"|apiVersion"\s*:\s*"v1"\s*,\s*"kind"\s*:\s*"Status")')
_ALIKE = 2048  # bytes of what the shard says; longer is hardly said twice
_BEGINNINGS = [
    b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"%b","auditID":' % level.encode() for level in LEVELS
]
_STAGES = {stage: b',"stage":"%b","requestURI":' % stage.encode() for stage in STAGES}
_TRUNCATED_END = b',"%b":"true"}}\n' % _TRUNCATED.encode()
_json = orjson.dumps
_CLOSED_EARLY = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}


def encode_event(exchange: Exchange, trace: Trace, stage: str, at_s: float, code: int) -> bytes:
    """`code` 0: there is no answer (yet).

    Two records for every request: most of one is text that many have in common, found ready and put together.
    """
    level = trace.outcome.level
    info = exchange.info
    # The first stage tells what was known when it came, whenever it is written.
    is_first = stage == RECEIVED
    shard = b"" if is_first else trace.shard
    told = _read(shard) if shard else _NOTHING_TOLD
    parts = [
        _BEGINNINGS[level],
        _json(exchange.audit_id),
        _STAGES[stage],
        _json(exchange.target),
        _asker(info.verb or _VERB_OF.get(exchange.method, ""), exchange.identity),
    ]
    if told.is_impersonated:
        parts += told.impersonation
    parts.append(_origin(tuple(trace.source_ips), exchange.user_agent))
    # What is not served is not read there either.
    has_passed = told.is_allowed and code != 405
    has_body = has_passed and exchange.body
    sent = _sent(exchange) if has_body else None
    if info.resource:
        parts += _reference(info, sent)
    if code:
        parts.append(_status(trace.answer, code))
    is_truncated = False
    if level >= REQUEST and has_body:
        is_truncated |= _tell(parts, b',"requestObject":', exchange.body, sent, trace)
    if trace.is_cut and code:
        is_truncated = True
    elif level >= REQUEST_RESPONSE and code and trace.answer:
        is_truncated |= _tell(parts, b',"responseObject":', trace.answer, _parsed(trace.answer), trace)
    parts += (b',"requestReceivedTimestamp":"', _time(trace.received_s), b'","stageTimestamp":"', _time(at_s))
    before, after = _annotations(shard)
    parts += (before, _json(info.cluster), after, _TRUNCATED_END if is_truncated else b"}}\n")
    return b"".join(parts)


def encode_failed_authentication(exchange: Exchange, trace: Trace, at_s: float) -> bytes:
    """Who it was is not known."""
    status = {"metadata": {}, "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}
    trace.answer = orjson.dumps({"kind": "Status", **status})
    return encode_event(exchange, trace, "ResponseStarted", at_s, 401)


class _Told(NamedTuple):
    """What the shard says. `impersonation`: members of the record."""

    is_allowed: bool
    is_impersonated: bool
    impersonation: Sequence[bytes]


_NOTHING_TOLD = _Told(False, False, ())


def _read(shard: bytes) -> _Told:
    """Requests alike come with the same bytes."""
    return _read_kept(shard) if len(shard) < _ALIKE else _read_kept.__wrapped__(shard)


@lru_cache(1024)
def _read_kept(shard: bytes) -> _Told:
    found: dict[str, Any] = orjson.loads(shard)
    parts = []
    if "impersonatedUser" in found:
        parts.append(b',"impersonatedUser":' + _user(orjson.dumps(found["impersonatedUser"])))
    if "impersonationConstraint" in found:
        constraint = orjson.dumps({"impersonationConstraint": found["impersonationConstraint"]})
        parts.append(b',"authenticationMetadata":' + constraint)
    return _Told(found.get("decision") == "allow", bool(parts), parts)


def _annotations(shard: bytes) -> tuple[bytes, bytes]:
    """What comes before the logical cluster's name, and after it; without the braces that end the record."""
    return _annotations_kept(shard) if len(shard) < _ALIKE else _annotations_kept.__wrapped__(shard)


@lru_cache(1024)
def _annotations_kept(shard: bytes) -> tuple[bytes, bytes]:
    told = orjson.loads(shard) if shard else {}
    others = {name: value for name, value in told.get("annotations", {}).items() if name != CLUSTER}
    before = orjson.dumps({**others, CLUSTER: ""}).removesuffix(b'""}')
    decided = {_DECISION: told["decision"], _REASON: told.get("reason", "")} if "decision" in told else None
    after = b"," + orjson.dumps(decided)[1:-1] if decided else b""
    return b'","annotations":' + before, after


@lru_cache(4096)
def _asker(verb: str, identity: bytes) -> bytes:
    return b',"verb":' + _json(verb) + b',"user":' + _user(identity)


@lru_cache(1024)
def _origin(source_ips: tuple[str, ...], user_agent: str) -> bytes:
    found = b',"sourceIPs":' + orjson.dumps(source_ips)
    return found + b',"userAgent":' + _json(_bounded(user_agent)) if user_agent else found


@lru_cache(4096)
def _user(identity: bytes) -> bytes:
    """A UserInfo: without what is empty, and without what is ours (`scope`)."""
    found = orjson.loads(identity) if identity else {}
    members = ("username", "uid", "groups", "extra")
    return orjson.dumps({member: found[member] for member in members if found.get(member)})


def _bounded(user_agent: str) -> str:
    shown = user_agent if len(user_agent) <= _MAX_USER_AGENT else user_agent[:_MAX_USER_AGENT] + "...TRUNCATED"
    return shown.encode("utf-8", "replace").decode()


def _sent(exchange: Exchange) -> Any:
    """The body, where it names what the path does not or is to be told: None if it is too large, or not an object."""
    return _parsed(exchange.body) if exchange.info.verb in ("create", "update") or _tells(exchange) else None


def _tells(exchange: Exchange) -> bool:
    return exchange.audit is not None and exchange.audit.outcome.level > METADATA


def _parsed(body: bytes) -> Any:
    if len(body) > _BODY_BYTES:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _reference(info: RequestInfo, sent: Any) -> Sequence[bytes]:
    """The member `objectRef`, without what is empty."""
    namespace, name, uid, revision = info.namespace, info.name, "", ""
    if isinstance(sent, dict) and info.verb in ("create", "update") and isinstance(sent.get("metadata"), dict):
        meta = sent["metadata"]
        namespace, name = namespace or _text(meta, "namespace"), name or _text(meta, "name")
        uid, revision = _text(meta, "uid"), _text(meta, "resourceVersion")
    parts = [b',"objectRef":{"resource":', _json(info.resource)]
    if namespace:
        parts += (b',"namespace":', _json(namespace))
    if name:
        parts += (b',"name":', _json(name))
    if uid:
        parts += (b',"uid":', _json(uid))
    if info.group:
        parts += (b',"apiGroup":', _json(info.group))
    parts += (b',"apiVersion":', _json(info.version))
    if revision:
        parts += (b',"resourceVersion":', _json(revision))
    if info.subresource:
        parts += (b',"subresource":', _json(info.subresource.partition("/")[0]))
    parts.append(b"}")
    return parts


def _text(meta: dict[str, Any], member: str) -> str:
    found = meta.get(member)
    return found if isinstance(found, str) else ""


def _status(answer: bytes, code: int) -> bytes:
    if code == 499:  # the client left before there was an answer
        return _status_member(_CLOSED_EARLY)
    found = _parsed(answer) if _IS_STATUS.match(answer) else None
    if not isinstance(found, dict):
        return b',"responseStatus":{"metadata":{},"code":%d}' % code
    # As it was answered, also an empty `details`.
    return _status_member(
        {
            "metadata": {},
            **{m: found[m] for m in _STATUS_MEMBERS if found.get(m) or (m == "details" and m in found)},
            "code": code,
        }
    )


def _status_member(status: dict[str, Any]) -> bytes:
    return b',"responseStatus":' + orjson.dumps(status)


def _tell(parts: list[bytes], member: bytes, body: bytes, parsed: Any, trace: Trace) -> bool:
    """Whether the body is too large to be told."""
    if len(body) > _BODY_BYTES:
        return True
    if parsed is not None:
        shown = _without_managed_fields(parsed) if trace.outcome.omit_managed_fields else parsed
        parts += (member, orjson.dumps(shown))
    return False


def _without_managed_fields(obj: Any) -> Any:
    if not isinstance(obj, dict):
        return obj
    meta = obj.get("metadata")
    if isinstance(meta, dict) and "managedFields" in meta:
        return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}
    return obj


def _time(seconds: float) -> bytes:
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return b"%b.%06dZ" % (_second(whole), micros)


@lru_cache(16)
def _second(seconds: int) -> bytes:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S}".encode()
