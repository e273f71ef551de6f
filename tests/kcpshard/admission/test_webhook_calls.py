import base64
from typing import Any

import orjson
import pytest

from kcpshard.admission.webhook_calls import (
    Call,
    Replay,
    Replayed,
    Response,
    call_for,
    key_of,
    read_response,
    replay_of,
)
from kcpshard.admission.webhook_definitions import Webhook
from kcpshard.rpc import shard_pb2 as pb

HOOK = Webhook("c", {"name": "a.b.c", "admissionReviewVersions": ["v1"]}, 0)


def answered(is_mutating: bool = True, **response: Any) -> Response:
    call = call_for(HOOK, "k", is_mutating, {})
    sent = orjson.loads(call.body)
    given = {"uid": sent["request"]["uid"], "allowed": True, **response}
    return read_response(orjson.dumps({**sent, "request": None, "response": given}), call)


def test_an_answer_is_read() -> None:
    patch = base64.b64encode(b'[{"op":"add"}]').decode()
    found = answered(patch=patch, patchType="JSONPatch", warnings=["w"], auditAnnotations={"k": "v"})
    assert found == Response("", True, None, ("w",), (("k", "v"),), [{"op": "add"}], "JSONPatch")


@pytest.mark.parametrize(
    ("is_mutating", "response", "fault"),
    [
        (True, {"uid": "x"}, "expected response.uid="),
        (True, {"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        (True, {"patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        (False, {"patch": "W10=", "patchType": "JSONPatch"}, "validating webhook may not return response.patch"),
    ],
)
def test_answers_that_say_what_none_may_say(is_mutating: bool, response: dict[str, Any], fault: str) -> None:
    found = answered(is_mutating, **response)
    assert found.fault.startswith('failed calling webhook "a.b.c": received invalid webhook response: ')
    assert fault in found.fault


def test_what_is_no_answer() -> None:
    call = Call("k", HOOK, False, "u", orjson.dumps({"apiVersion": "admission.k8s.io/v1"}))
    assert "failed to call webhook: couldn't get version/kind" in read_response(b"hello", call).fault
    assert "response was absent" in read_response(b"{}", call).fault
    other = b'{"apiVersion":"v9","kind":"AdmissionReview"}'
    assert 'no kind "AdmissionReview" is registered for version "v9"' in read_response(other, call).fault


def test_a_write_is_the_same_whatever_its_run_makes_anew() -> None:
    def key(**meta: Any) -> str:
        return key_of(HOOK, "mutating 0", "CREATE", {"metadata": {"name": "a", **meta}}, None)

    assert key(creationTimestamp="1", managedFields=[1]) == key(creationTimestamp="2")
    assert key(labels={"a": "b"}) != key()
    assert key_of(HOOK, "validating", "CREATE", None, None) != key_of(HOOK, "mutating 0", "CREATE", None, None)


def test_a_replay_keeps_what_the_first_run_made() -> None:
    replay = Replay()
    first, second = (
        {"uid": "1", "creationTimestamp": "t", "name": "a"},
        {"uid": "2", "creationTimestamp": "u", "name": "b"},
    )
    replay.pin(first)
    replay.pin(second)
    assert second == first
    request = Replayed(pb.Request(name="x"), replay)
    assert request.name == "x" and replay_of(request) is replay  # type: ignore[arg-type]
    assert replay_of(pb.Request()) is not replay
