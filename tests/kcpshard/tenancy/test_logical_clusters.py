from typing import Any

import pytest

from kcpshard.tenancy import logical_clusters
from kcpshard.tenancy.logical_clusters import Birth
from kcpshard.tenancy.names import TypeReference

WORKSPACE: dict[str, Any] = {"metadata": {"name": "b", "uid": "u"}}


def born(**more: Any) -> dict[str, Any]:
    birth = Birth("root:a:b", "https://x/clusters/root:a:b", TypeReference("root", "t"), WORKSPACE, "root:a", None)
    return logical_clusters.document(birth._replace(**more))


def test_one_without_initializers_is_born_ready() -> None:
    found = born()
    assert found["status"] == {"URL": "https://x/clusters/root:a:b", "phase": "Ready"}
    assert found["spec"]["owner"] == {
        "apiVersion": "tenancy.kcp.io/v1alpha1", "resource": "workspaces", "name": "b", "cluster": "root:a", "uid": "u",
    }  # fmt: skip
    assert found["metadata"]["annotations"] == {"kcp.io/path": "root:a:b", "internal.tenancy.kcp.io/type": "root:t"}


def test_what_it_inherits_is_in_its_status() -> None:
    found = born(inherit=["RBAC"])
    assert found["status"]["inherited"] == [{"what": "RBAC", "from": ["root:a", "root"]}]


@pytest.mark.parametrize(
    ("status", "deleted", "phase"),
    [
        ({"phase": "Initializing", "initializers": ["root:t"]}, False, "Initializing"),
        ({"phase": "Ready", "initializers": ["root:t"]}, False, "Initializing"),
        ({"phase": "Initializing"}, False, "Ready"),
        ({"phase": "Unavailable"}, False, "Unavailable"),
        ({"phase": "Ready", "terminators": ["root:t"]}, False, "Ready"),
        ({"phase": "Ready", "terminators": ["root:t"]}, True, "Terminating"),
        ({"phase": "Terminating"}, True, "Deleting"),
    ],
)
def test_phases_follow_from_who_is_waited_for(status: dict[str, Any], deleted: bool, phase: str) -> None:
    obj = {"metadata": {"labels": {"own": "x"}}, "status": dict(status)}
    if deleted:
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"  # type: ignore[assignment]
    logical_clusters.settle(obj)
    assert obj["status"]["phase"] == phase
    labels = obj["metadata"]["labels"]
    assert labels.pop("own") == "x"
    if phase == "Initializing":
        assert labels == {logical_clusters.initializer_label("root:t"): ""}
    elif phase == "Terminating":
        assert labels == {logical_clusters.terminator_label("root:t"): ""}
    else:
        assert labels == {}


def test_a_label_is_a_legal_one() -> None:
    prefix, _, name = logical_clusters.initializer_label("root:" + "x" * 200).partition("/")
    assert prefix == "initializer.internal.kcp.io" and len(name) <= 63


def test_what_a_workspace_shows() -> None:
    assert logical_clusters.mirrored({"status": {"phase": "Ready", "URL": "x", "initializers": []}}) == {
        "phase": "Ready"
    }


def test_types() -> None:
    assert logical_clusters.type_of(born(), "root:a:b") == TypeReference("root", "t")
    assert logical_clusters.type_of(None, "root") == TypeReference("root", "root")


def test_those_without_a_parent_are_shown() -> None:
    shown, texts = logical_clusters.top_level_object(lambda: "https://x")
    assert shown.document["status"]["phase"] == "Ready"
    assert texts("root:a") is None
    found = texts("tenant")
    assert found is not None and set(found.values()) == {"tenant", "root:universal", "https://x"}
