from typing import Any

import orjson
import pytest

from kcpshard.api.errors import ApiError, BadRequest, Invalid
from kcpshard.verbs.transaction_form import MAX_OPERATIONS, Preconditions, read_transaction

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}


def body(*operations: Any, **members: Any) -> bytes:
    document = {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Transaction", "spec": {"operations": operations}}
    return orjson.dumps({**document, **members})


def test_operations_are_read() -> None:
    preconditions = {"exists": True, "uid": "u", "resourceVersion": "7"}
    given = {"verb": "Apply", "object": MAP, "force": True, "preconditions": preconditions}
    (found,), unknown = read_transaction(body(given))
    assert (found.verb, found.force, found.name, found.namespace) == ("Apply", True, "a", "default")
    assert (found.api_version, found.kind) == ("v1", "ConfigMap")
    assert found.preconditions == Preconditions(True, "u", "7") and unknown == []


def test_unknown_members_are_named() -> None:
    given = {"verb": "Check", "object": MAP, "forse": True, "preconditions": {"exist": True}}
    _, unknown = read_transaction(body(given, extra=1))
    assert unknown == ["extra", "spec.operations[0].forse", "spec.operations[0].preconditions.exist"]


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b'{"kind":"Transaction"}'])
def test_what_is_no_transaction(text: bytes) -> None:
    with pytest.raises(BadRequest):
        read_transaction(text)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("x", "spec.operations[0]"),
        ({"object": MAP}, "spec.operations[0].verb"),
        ({"verb": "Patch", "object": MAP}, "spec.operations[0].verb"),
        ({"verb": "Apply"}, "spec.operations[0].object"),
        ({"verb": "Apply", "object": []}, "spec.operations[0].object"),
        ({"verb": "Apply", "object": {**MAP, "kind": ""}}, "spec.operations[0].object.kind"),
        ({"verb": "Apply", "object": {**MAP, "apiVersion": 1}}, "spec.operations[0].object.apiVersion"),
        ({"verb": "Apply", "object": {**MAP, "metadata": {}}}, "spec.operations[0].object.metadata.name"),
        ({"verb": "Apply", "object": {**MAP, "metadata": {"name": 1}}}, "spec.operations[0].object.metadata.name"),
        ({"verb": "Create", "object": MAP, "force": True}, "spec.operations[0].force"),
        ({"verb": "Apply", "object": MAP, "force": "yes"}, "spec.operations[0].force"),
        ({"verb": "Apply", "object": MAP, "propagationPolicy": "Orphan"}, "spec.operations[0].propagationPolicy"),
        ({"verb": "Delete", "object": MAP, "propagationPolicy": 1}, "spec.operations[0].propagationPolicy"),
        ({"verb": "Check", "object": MAP, "preconditions": []}, "spec.operations[0].preconditions"),
        ({"verb": "Check", "object": MAP, "preconditions": {"uid": 1}}, "spec.operations[0].preconditions.uid"),
        (
            {"verb": "Check", "object": MAP, "preconditions": {"exists": False, "uid": "u"}},
            "spec.operations[0].preconditions.exists",
        ),
    ],
)
def test_faults_are_named_by_their_place(operation: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_transaction(body(operation))
    assert [cause.field for cause in refused.value.causes] == [field]


def test_a_name_may_be_generated_where_something_is_created() -> None:
    generated = {**MAP, "metadata": {"generateName": "a-"}}
    assert read_transaction(body({"verb": "Create", "object": generated}))
    with pytest.raises(ApiError):
        read_transaction(body({"verb": "Apply", "object": generated}))


@pytest.mark.parametrize("spec", [None, {}, {"operations": []}, {"operations": {}}])
def test_there_must_be_something_to_do(spec: Any) -> None:
    with pytest.raises(Invalid):
        read_transaction(body(spec=spec))


def test_there_is_a_most() -> None:
    with pytest.raises(Invalid):
        read_transaction(body(*[{"verb": "Apply", "object": MAP}] * (MAX_OPERATIONS + 1)))
