from typing import Any

import pytest

from kcp.portable_objects import moved, over, owners_known, rank, uids_of, why_left, without_addresses


def obj(name: str = "a", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": {"k": "v"}}


def test_what_a_server_gave_stays_behind() -> None:
    servers = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "t", "generation": 1, "managedFields": [{}]}
    given = obj(**servers, labels={"l": "1"}, finalizers=["f"], namespace="n")
    found, lost = moved({**given, "status": {"x": 1}}, {})
    assert found == obj(labels={"l": "1"}, finalizers=["f"], namespace="n") and lost == ()


def test_owners_go_along() -> None:
    owners = [{"kind": "A", "name": "a", "uid": "old"}, {"kind": "B", "name": "b", "uid": "gone", "controller": True}]
    found, lost = moved(obj(ownerReferences=owners), {"old": "new"})
    assert found["metadata"]["ownerReferences"] == [{"kind": "A", "name": "a", "uid": "new"}]
    assert lost == ("B b",)
    assert "ownerReferences" not in moved(obj(ownerReferences=owners), {}).object["metadata"]


def test_owners_come_before_what_they_own() -> None:
    owned = obj(ownerReferences=[{"uid": "o"}])
    assert not owners_known(owned, {}, frozenset(("o",)))
    assert owners_known(owned, {"o": "n"}, frozenset(("o",)))
    assert owners_known(owned, {}, frozenset())  # it will never come
    assert uids_of([obj(uid="u"), obj()]) == {"u"}


def test_the_order_of_types() -> None:
    names = [
        "deployments.apps", "resourcequotas", "namespaces", "widgets.example.dev", "clusterroles.x",
        "customresourcedefinitions.apiextensions.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ]  # fmt: skip
    namespaced = {"deployments.apps", "resourcequotas", "widgets.example.dev"}
    assert sorted(names, key=lambda name: rank(name, name in namespaced)) == [
        "namespaces", "customresourcedefinitions.apiextensions.k8s.io", "clusterroles.x", "deployments.apps",
        "widgets.example.dev", "resourcequotas", "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("secrets", {**obj(), "type": "kubernetes.io/service-account-token"}),
        ("configmaps", obj("kube-root-ca.crt")),
        ("configmaps", obj(deletionTimestamp="t")),
        ("services", obj("kubernetes", namespace="default")),
        ("apiservices.apiregistration.k8s.io", obj(labels={"kube-aggregator.kubernetes.io/automanaged": "onstart"})),
    ],
)
def test_what_is_left_out(type_: str, given: dict[str, Any]) -> None:
    assert why_left(type_, given)
    assert not why_left("secrets", obj())


def test_what_is_there_is_kept_where_it_says_the_same() -> None:
    current = obj(uid="u", resourceVersion="7", managedFields=[{}], creationTimestamp="t")
    assert over(obj(), current) is None
    changed = over({**obj(), "data": {}}, {**current, "status": {"s": 1}})
    assert changed == {**obj(uid="u", resourceVersion="7", creationTimestamp="t"), "data": {}, "status": {"s": 1}}


def test_a_service_asks_for_new_addresses() -> None:
    spec = {
        "clusterIP": "10.9.9.9",
        "clusterIPs": ["10.9.9.9"],
        "type": "NodePort",
        "ports": [{"port": 1, "nodePort": 2}],
    }
    assert without_addresses({"spec": spec})["spec"] == {"type": "NodePort", "ports": [{"port": 1}]}
    assert without_addresses({"spec": {"clusterIP": "None"}})["spec"] == {"clusterIP": "None"}
