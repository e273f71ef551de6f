from typing import Any

import orjson
import pytest

from kcpfront.audit.events import encode_event, encode_failed_authentication
from kcpfront.audit.policy import METADATA, REQUEST, REQUEST_RESPONSE, Outcome
from kcpfront.audit.trace import Trace
from kcpshard.api.requests import Identity
from tests.kcpfront.exchanges import exchange

ALLOWED = b'{"user":{},"decision":"allow","reason":"RBAC: because"}'
SECRET = orjson.dumps(
    {
        "kind": "Secret",
        "metadata": {"name": "s", "uid": "u", "resourceVersion": "7", "managedFields": [1]},
        "data": {"k": "c2VjcmV0"},
    }
)


def event(
    target: str = "/clusters/root:a/api/v1/namespaces/n/secrets?x=y",
    method: str = "POST",
    body: bytes = SECRET,
    level: int = METADATA,
    shard: bytes = ALLOWED,
    answer: bytes = b"",
    code: int = 201,
    stage: str = "ResponseComplete",
    omit_managed_fields: bool = False,
) -> Any:
    asked = exchange(target, method, {"User-Agent": "kubectl"})
    asked.identity = Identity("ann", "", ("devs",), {}, 7).encode()
    asked.body = body
    trace = asked.audit = Trace(Outcome(level, frozenset(), omit_managed_fields), 0.5, ["192.0.2.7"])
    trace.told(shard, answer)
    line = encode_event(asked, trace, stage, 1.25, code)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return orjson.loads(line)


def test_a_record_at_level_metadata() -> None:
    assert event() == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "id",
        "stage": "ResponseComplete",
        "requestURI": "/clusters/root:a/api/v1/namespaces/n/secrets?x=y",
        "verb": "create",
        "user": {"username": "ann", "groups": ["devs"]},
        "sourceIPs": ["192.0.2.7"],
        "userAgent": "kubectl",
        "objectRef": {
            "resource": "secrets",
            "namespace": "n",
            "name": "s",
            "uid": "u",
            "apiVersion": "v1",
            "resourceVersion": "7",
        },
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": "1970-01-01T00:00:00.500000Z",
        "stageTimestamp": "1970-01-01T00:00:01.250000Z",
        "annotations": {
            "kcp.io/cluster": "root:a",
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "RBAC: because",
        },
    }


def test_bodies_are_told_from_their_levels_on_and_never_below() -> None:
    assert "c2VjcmV0" not in str(event(answer=SECRET))
    found = event(level=REQUEST, answer=SECRET)
    assert found["requestObject"]["data"] == {"k": "c2VjcmV0"} and "responseObject" not in found
    found = event(level=REQUEST_RESPONSE, answer=b' {\n"kind": "X"}', omit_managed_fields=True)
    assert found["responseObject"] == {"kind": "X"}
    assert "managedFields" not in found["requestObject"]["metadata"]


def test_before_anything_is_decided_and_after_a_refusal_no_body_is_told() -> None:
    assert event(level=REQUEST, stage="RequestReceived", shard=b"", code=0)["objectRef"].get("name") is None
    found = event(level=REQUEST, shard=b'{"decision":"forbid"}', code=403)
    assert "requestObject" not in found and "name" not in found["objectRef"]
    assert found["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_large_and_broken_bodies_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "requestObject" not in event(level=REQUEST, body=b"{")
    monkeypatch.setattr("kcpfront.audit.events._BODY_BYTES", 10)
    found = event(level=REQUEST)
    assert "requestObject" not in found and found["annotations"]["audit.k8s.io/truncated"] == "true"


def test_a_status_is_told_in_part() -> None:
    answer = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":"NotFound",'
    found = event(answer=answer + b'"details":{"name":"s"},"code":404}', code=404)
    assert found["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": "m",
        "reason": "NotFound",
        "details": {"name": "s"},
        "code": 404,
    }
    assert event(code=499)["responseStatus"]["message"] == "Connection closed early"


def test_who_is_impersonated_and_what_admission_says() -> None:
    shard = b'{"decision":"allow","impersonatedUser":{"username":"bob","uid":"","scope":3},"annotations":{"p/k":"v"}}'
    found = event(shard=shard)
    assert found["impersonatedUser"] == {"username": "bob"} and found["annotations"]["p/k"] == "v"


def test_names_are_written_as_json_and_no_annotation_takes_the_place_of_the_logical_cluster() -> None:
    shard = b'{"decision":"allow","annotations":{"kcp.io/cluster":"other","a/b":"\\"x\\""}}'
    found = event("/clusters/root:a/api/v1/namespaces/n/pods/p%22?q=%22\u00e9", "GET", b"", shard=shard, code=200)
    assert found["objectRef"] == {"resource": "pods", "namespace": "n", "name": 'p"', "apiVersion": "v1"}
    assert found["annotations"]["kcp.io/cluster"] == "root:a" and found["annotations"]["a/b"] == '"x"'


@pytest.mark.parametrize("length", [10, 5000])
def test_what_shards_say_is_told_whether_it_is_kept_or_not(length: int) -> None:
    shard = orjson.dumps({"decision": "allow", "reason": "r" * length})
    assert event(shard=shard)["annotations"]["authorization.k8s.io/reason"] == "r" * length


def test_a_path_has_no_object() -> None:
    assert "objectRef" not in event("/healthz", "GET", b"", code=200)


def test_the_first_stage_tells_what_was_known_then() -> None:
    """Also if it is written when the answer is there."""
    impersonated = b'{"user":{},"impersonatedUser":{"username":"x"},"decision":"allow","impersonationConstraint":"m"}'
    found = event(shard=impersonated, stage="RequestReceived", code=0)
    assert found["annotations"] == {"kcp.io/cluster": "root:a"}
    assert not {"impersonatedUser", "authenticationMetadata", "responseStatus"}.intersection(found)
    later = event(shard=impersonated)
    assert later["authenticationMetadata"] == {"impersonationConstraint": "m"}


def test_what_is_not_served_is_not_told() -> None:
    found = event(level=REQUEST_RESPONSE, code=405)
    assert "requestObject" not in found and "name" not in found["objectRef"]
    assert event("/clusters/a/api/v1/pods/x", "HEAD", b"")["verb"] == "get"


def test_an_answer_too_large_to_be_told() -> None:
    asked = exchange("/clusters/a/api/v1/pods", "GET", {})
    trace = asked.audit = Trace(Outcome(REQUEST_RESPONSE), 0.5, [])
    trace.told(ALLOWED, b"{}")
    trace.is_cut = True
    found = orjson.loads(encode_event(asked, trace, "ResponseComplete", 1.0, 200))
    assert found["annotations"]["audit.k8s.io/truncated"] == "true" and "responseObject" not in found


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer s3cret"}, {"Authorization": "Basic s3cret"}, {}])
def test_failed_authentication_never_tells_the_credential(headers: dict[str, str]) -> None:
    asked = exchange(headers=headers)
    line = encode_failed_authentication(asked, Trace(Outcome(METADATA), 1.0, []), 1.0)
    found = orjson.loads(line)
    assert found["responseStatus"]["message"] == "Unauthorized" and found["responseStatus"]["code"] == 401
    assert found["stage"] == "ResponseStarted" and found["user"] == {} and b"s3cret" not in line


def test_undecodable_headers_do_no_harm() -> None:
    asked = exchange(headers={"User-Agent": "a\udcff"})
    trace = Trace(Outcome(METADATA), 1.0, [])
    assert orjson.loads(encode_event(asked, trace, "RequestReceived", 1.0, 0))["userAgent"] == "a?"
