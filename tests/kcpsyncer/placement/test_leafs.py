"""Leafs are copies of the root with a part of its replicas."""

from typing import Any

import pytest

from kcpsyncer.placement import leafs
from kcpsyncer.placement.leafs import Part, belongs_to, can_divide, is_leaf, leaf_name, leaf_of, parts_of, replicas_of

ROOT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "my-deployment", "namespace": "demo", "uid": "u-1", "resourceVersion": "7", "generation": 2,
        "labels": {"app": "x"}, "finalizers": ["f"], "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"},
    },
    "spec": {"replicas": 15, "template": {"spec": {"containers": []}}},
    "status": {"replicas": 3},
}  # fmt: skip


def test_parts_go_by_name() -> None:
    assert parts_of({"west": 7, "east": 8}) == [Part("east", 8, 0, 15), Part("west", 7, 8, 15)]


def test_a_leaf() -> None:
    found = leaf_of(ROOT, Part("us-east1", 8, 0, 15))
    assert found["metadata"] == {
        "name": "my-deployment--us-east1",
        "namespace": "demo",
        "labels": {"app": "x", "kcp.dev/cluster": "us-east1", "kcp.dev/owned-by": "my-deployment"},
        "annotations": {"note": "kept"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-deployment", "uid": "u-1"}
        ],
    }  # fmt: skip
    assert found["spec"]["replicas"] == 8
    assert "status" not in found
    assert ROOT["spec"]["replicas"] == 15
    assert is_leaf(found)
    assert not is_leaf(ROOT)
    assert belongs_to(found, ROOT)
    assert not belongs_to(found, {**ROOT, "metadata": {**ROOT["metadata"], "uid": "another"}})


def test_long_names_stay_different() -> None:
    first, second = leaf_name("r" * 250, "east"), leaf_name("r" * 250, "west")
    assert first != second
    assert len(first) <= 253
    assert len(leafs.owner_label("r" * 100)) <= 63


def test_pods_of_a_stateful_set_have_numbers_of_their_own() -> None:
    root = {**ROOT, "kind": "StatefulSet", "spec": {"replicas": 5, "ordinals": {"start": 10}}}
    parts = parts_of({"a": 3, "b": 2})
    assert [leaf_of(root, part)["spec"] for part in parts] == [
        {"replicas": 3, "ordinals": {"start": 10}}, {"replicas": 2, "ordinals": {"start": 13}}
    ]  # fmt: skip


def test_a_job_is_divided_exactly() -> None:
    root = {"apiVersion": "batch/v1", "kind": "Job", "metadata": ROOT["metadata"],
            "spec": {"parallelism": 5, "completions": 11}}  # fmt: skip
    found = [leaf_of(root, part)["spec"] for part in parts_of({"a": 3, "b": 2})]
    assert found == [{"parallelism": 3, "completions": 6}, {"parallelism": 2, "completions": 5}]


@pytest.mark.parametrize(
    ("obj", "replicas", "divides"),
    [
        (ROOT, 15, True),
        ({"kind": "Deployment", "spec": {}}, 1, True),
        ({"kind": "Deployment", "spec": {"replicas": 0}}, 0, True),
        ({"kind": "Job", "spec": {"parallelism": 3}}, 3, True),
        ({"kind": "Job", "spec": {"completionMode": "Indexed"}}, 1, False),
        ({"kind": "ConfigMap"}, 1, False),
    ],
)
def test_what_an_object_asks_for(obj: dict[str, Any], replicas: int, divides: bool) -> None:
    assert (replicas_of(obj), can_divide(obj)) == (replicas, divides)
