from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.verbs.finalization import DeleteOptions, is_finished, marked, wanted_finalizers

FINALIZERS = st.lists(st.sampled_from(["orphan", "foregroundDeletion", "a/b", "c/d"]), unique=True)
POLICIES = st.sampled_from(["", "Orphan", "Foreground", "Background"])


def thing(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", **meta}}


@given(FINALIZERS, POLICIES)
def test_policies_touch_only_their_own_finalizers(finalizers: list[str], policy: str) -> None:
    found = wanted_finalizers(finalizers, policy)
    others = [f for f in finalizers if "/" in f]
    assert [f for f in found if "/" in f] == others
    assert wanted_finalizers(found, policy) == found
    if policy:
        ours = {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"], "Background": []}[policy]
        assert [f for f in found if "/" not in f] == ours
    else:
        assert found == finalizers


@given(FINALIZERS, POLICIES)
def test_a_deletion_repeated_changes_nothing(finalizers: list[str], policy: str) -> None:
    options = DeleteOptions(policy)
    once = marked("configmaps", thing(finalizers=finalizers), options, 0, 5_000_000)
    if once is not None:
        assert marked("configmaps", once, options, 0, 9_000_000) == once


@pytest.mark.parametrize("group_resource", ["replicationcontrollers", "jobs.batch"])
def test_some_kinds_leave_what_they_own_unless_told_otherwise(group_resource: str) -> None:
    kept = marked(group_resource, thing(), DeleteOptions(), 0, 0)
    assert kept is not None and kept["metadata"]["finalizers"] == ["orphan"]
    assert marked(group_resource, thing(), DeleteOptions("Background"), 0, 0) is None
    said = marked(group_resource, thing(finalizers=["foregroundDeletion"]), DeleteOptions(), 0, 0)
    assert said is not None and said["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_marking() -> None:
    assert marked("configmaps", thing(), DeleteOptions(), 0, 0) is None
    found = marked("configmaps", thing(finalizers=["a/b"], generation=2), DeleteOptions(), 0, 5_000_000)
    assert found is not None
    assert found["metadata"] == {
        "name": "a",
        "finalizers": ["a/b"],
        "generation": 3,
        "deletionTimestamp": "1970-01-01T00:00:05Z",
        "deletionGracePeriodSeconds": 0,
    }


def test_grace_is_given_and_shortened() -> None:
    first = marked("pods", thing(), DeleteOptions(), 30, 0)
    assert first is not None and first["metadata"]["deletionTimestamp"] == "1970-01-01T00:00:30Z"
    shorter = marked("pods", first, DeleteOptions(), 10, 1_000_000)
    assert shorter is not None and shorter["metadata"]["deletionTimestamp"] == "1970-01-01T00:00:11Z"
    assert marked("pods", shorter, DeleteOptions(), 30, 2_000_000) == shorter
    assert marked("pods", shorter, DeleteOptions(), 0, 3_000_000) is None


def test_a_namespace_terminates_for_its_own_finalizer() -> None:
    namespace = {**thing(), "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    found = marked("namespaces", namespace, DeleteOptions(), 0, 5_000_000)
    assert found is not None and found["status"] == {"phase": "Terminating"}
    assert found["metadata"] == {"name": "a", "deletionTimestamp": "1970-01-01T00:00:05Z"}
    assert marked("namespaces", found, DeleteOptions("Foreground"), 0, 9_000_000) == found
    assert marked("namespaces", {**found, "spec": {}}, DeleteOptions(), 0, 0) is None


@pytest.mark.parametrize(
    ("group_resource", "obj", "expected"),
    [
        pytest.param("configmaps", thing(), False, id="not deleted"),
        pytest.param(
            "configmaps", thing(deletionTimestamp="T", deletionGracePeriodSeconds=0), True, id="nothing holds"
        ),
        pytest.param("configmaps", thing(deletionTimestamp="T", finalizers=["a/b"]), False, id="a finalizer holds"),
        pytest.param("pods", thing(deletionTimestamp="T", deletionGracePeriodSeconds=3), False, id="grace holds"),
        pytest.param(
            "namespaces",
            {**thing(deletionTimestamp="T"), "spec": {"finalizers": ["kubernetes"]}},
            False,
            id="spec holds",
        ),
        pytest.param("namespaces", {**thing(deletionTimestamp="T"), "spec": {}}, True, id="an empty namespace"),
    ],
)
def test_finished(group_resource: str, obj: dict[str, Any], expected: bool) -> None:
    assert is_finished(group_resource, obj) is expected
