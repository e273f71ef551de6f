from typing import Any

import pytest

from kcpshard.api.pod_references import Reference
from kcpsyncer.namespace_mapping import Origin
from kcpsyncer.placed_objects import (
    HASH,
    beside_autoscaler,
    companion,
    desired,
    is_in_place,
    is_ours,
    is_portable,
    namespace_object,
    status_up,
)

ORIGIN = Origin("root:a", "i")


def up(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "web",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "t",
        "managedFields": [{}],
        "finalizers": ["example.dev/f"],
        "ownerReferences": [{"uid": "o"}],
        "labels": {"app": "web"},
        "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 1},
        "status": {},
        **changes,
    }


def test_only_what_means_something_there_goes_down() -> None:
    """D-26"""
    made = desired(up(), ORIGIN, "me")
    assert set(made) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(made["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert made["metadata"]["labels"] == {"app": "web", "kcp.dev/syncer": "me"} and is_ours(made, "me")
    annotations = made["metadata"]["annotations"]
    assert annotations["a"] == "b" and "kubectl.kubernetes.io/last-applied-configuration" not in annotations
    assert (annotations["kcp.io/cluster"], annotations["kcp.io/namespace"]) == ("root:a", "shop")
    assert made["metadata"]["namespace"] == namespace_object(ORIGIN, "shop", "me")["metadata"]["name"] != "shop"


def test_a_field_that_is_gone_is_noticed() -> None:
    more = desired(up(spec={"replicas": 1, "paused": True}), ORIGIN, "me")
    less = desired(up(), ORIGIN, "me")
    assert not is_in_place(less, more) and is_in_place(less, less)
    assert less["metadata"]["annotations"][HASH] == desired(up(), ORIGIN, "me")["metadata"]["annotations"][HASH]


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": {}}, {"a": None}, False),
    ],
)
def test_in_place(wanted: Any, live: Any, expected: bool) -> None:
    assert is_in_place(wanted, live) is expected


def down(generation: int, observed: int | None, made_of: str, **status: Any) -> dict[str, Any]:
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"generation": generation, "annotations": {"kcp.dev/generation": made_of}}, "status": status}


def test_what_was_observed_is_told_in_generations_of_upstream() -> None:
    assert status_up(up(), down(5, 5, "3", replicas=1)) == {"replicas": 1, "observedGeneration": 3}
    behind = up(status={"observedGeneration": 2})
    assert status_up(behind, down(6, 5, "3", replicas=1)) == {"replicas": 1, "observedGeneration": 2}
    assert status_up(up(), down(6, 5, "3", replicas=1)) == {"replicas": 1}


def test_a_status_that_is_there_already_is_not_written() -> None:
    assert status_up(up(status={"replicas": 1}), down(1, None, "3", replicas=1)) is None
    assert status_up(up(status={"replicas": 1}), {"metadata": {}}) is None


def test_companions() -> None:
    account = {"metadata": {"name": "robot", "namespace": "shop", "uid": "u"}, "secrets": [{"name": "token"}]}
    made = companion(account, Reference("serviceaccounts", "ServiceAccount", "robot"), ORIGIN, "me")
    assert made["kind"] == "ServiceAccount" and "secrets" not in made
    secret = {**account, "type": "Opaque", "data": {"a": "Yg=="}}
    assert companion(secret, Reference("secrets", "Secret", "robot"), ORIGIN, "me")["data"] == {"a": "Yg=="}
    assert is_portable(secret) and not is_portable({"type": "kubernetes.io/service-account-token"})


def scaled(manager: str, subresource: str = "scale") -> dict[str, Any]:
    fields = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": manager, "subresource": subresource, "operation": "Update", "fieldsV1": fields}
    return {"metadata": {"managedFields": [entry]}, "spec": {"replicas": 9}}


def test_an_autoscaler_downstream_is_not_fought() -> None:
    wanted: dict[str, Any] = {"spec": {"replicas": 2, "template": {}}}
    assert beside_autoscaler(wanted, scaled("kube-controller-manager"))["spec"] == {"template": {}}
    for live in (None, scaled("kubectl"), scaled("kube-controller-manager", ""), {"metadata": {}}):
        assert beside_autoscaler(wanted, live) is wanted
    assert beside_autoscaler({"data": {}}, scaled("hpa")) == {"data": {}}
