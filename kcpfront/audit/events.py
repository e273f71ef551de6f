"""One request at one stage → an audit.k8s.io/v1 Event as a line of JSON. Pure.

Everything is at hand already: what the shard says of the request (`Response.audit`), the identity, the two bodies. A
body is decoded only to be told or to name what the path does not name.
"""

import datetime
import re
from functools import lru_cache
from typing import Any

import orjson

from kcpfront.audit.policy import LEVELS, METADATA, RECEIVED, REQUEST, REQUEST_RESPONSE
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
_CLOSED_EARLY = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}


def encode_event(exchange: Exchange, trace: Trace, stage: str, at_s: float, code: int) -> bytes:
    """`code` 0: there is no answer (yet)."""
    level = trace.outcome.level
    info = exchange.info
    # The first stage tells what was known when it came, whenever it is written.
    told = _read(trace.shard) if trace.shard and stage != RECEIVED else {}
    annotations = {**told.get("annotations", {}), CLUSTER: info.cluster}
    if "decision" in told:
        annotations[_DECISION], annotations[_REASON] = told["decision"], told.get("reason", "")
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": LEVELS[level],
        "auditID": exchange.audit_id,
        "stage": stage,
        "requestURI": exchange.target,
        "verb": info.verb or _VERB_OF.get(exchange.method, ""),
        "user": orjson.Fragment(_user(exchange.identity)),
    }
    if "impersonatedUser" in told:
        event["impersonatedUser"] = orjson.Fragment(_user(orjson.dumps(told["impersonatedUser"])))
    if "impersonationConstraint" in told:
        event["authenticationMetadata"] = {"impersonationConstraint": told["impersonationConstraint"]}
    event["sourceIPs"] = trace.source_ips
    if exchange.user_agent:
        event["userAgent"] = _bounded(exchange.user_agent)
    # What is not served is not read there either.
    has_passed = told.get("decision") == "allow" and stage != RECEIVED and code != 405
    sent = _sent(exchange) if has_passed and exchange.body else None
    if info.resource:
        event["objectRef"] = _reference(info, sent)
    if code:
        event["responseStatus"] = _status(trace.answer, code)
    if level >= REQUEST and has_passed and exchange.body:
        _tell(event, "requestObject", exchange.body, sent, annotations, trace)
    if trace.is_cut and code:
        annotations[_TRUNCATED] = "true"
    elif level >= REQUEST_RESPONSE and code and trace.answer:
        _tell(event, "responseObject", trace.answer, _parsed(trace.answer), annotations, trace)
    event["requestReceivedTimestamp"] = _time(trace.received_s)
    event["stageTimestamp"] = _time(at_s)
    event["annotations"] = annotations
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def encode_failed_authentication(exchange: Exchange, trace: Trace, at_s: float) -> bytes:
    """Who it was is not known."""
    status = {"metadata": {}, "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}
    trace.answer = orjson.dumps({"kind": "Status", **status})
    return encode_event(exchange, trace, "ResponseStarted", at_s, 401)


def _read(shard: bytes) -> dict[str, Any]:
    """Requests alike come with the same bytes."""
    return _read_kept(shard) if len(shard) < 2048 else orjson.loads(shard)


@lru_cache(1024)
def _read_kept(shard: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(shard)
    return found


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


def _reference(info: RequestInfo, sent: Any) -> dict[str, str]:
    meta = sent.get("metadata") if isinstance(sent, dict) and info.verb in ("create", "update") else None
    meta = meta if isinstance(meta, dict) else {}
    subresource = info.subresource.partition("/")[0]
    found = {
        "resource": info.resource,
        "namespace": info.namespace or meta.get("namespace"),
        "name": info.name or meta.get("name"),
        "uid": meta.get("uid"),
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": meta.get("resourceVersion"),
        "subresource": subresource,
    }
    return {member: value for member, value in found.items() if value and isinstance(value, str)}


def _status(answer: bytes, code: int) -> dict[str, Any]:
    if code == 499:  # the client left before there was an answer
        return _CLOSED_EARLY
    found = _parsed(answer) if _IS_STATUS.match(answer) else None
    if not isinstance(found, dict):
        return {"metadata": {}, "code": code}
    # As it was answered, also an empty `details`.
    return {
        "metadata": {},
        **{m: found[m] for m in _STATUS_MEMBERS if found.get(m) or (m == "details" and m in found)},
        "code": code,
    }


def _tell(
    event: dict[str, Any], member: str, body: bytes, parsed: Any, annotations: dict[str, str], trace: Trace
) -> None:
    if len(body) > _BODY_BYTES:
        annotations[_TRUNCATED] = "true"
    elif parsed is not None:
        event[member] = _without_managed_fields(parsed) if trace.outcome.omit_managed_fields else parsed


def _without_managed_fields(obj: Any) -> Any:
    if not isinstance(obj, dict):
        return obj
    meta = obj.get("metadata")
    if isinstance(meta, dict) and "managedFields" in meta:
        return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}
    return obj


def _time(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
