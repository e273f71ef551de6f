from typing import Any

import pytest

from tests.kcpshard.definitions.submission import create, resource, update

CRDS = resource("customresourcedefinitions", "apiextensions.k8s.io")
VERSION: dict[str, Any] = {
    "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}},
}  # fmt: skip
SPEC: dict[str, Any] = {
    "group": "x.io", "names": {"plural": "foos", "kind": "Foo"}, "scope": "Namespaced", "versions": [VERSION],
}  # fmt: skip


def test_defaults_and_first_status() -> None:
    found, faults = create(CRDS, "foos.x.io", spec=SPEC, status={"storedVersions": ["v9"]})
    assert faults == []
    assert found["spec"]["names"] == {"plural": "foos", "kind": "Foo", "singular": "foo", "listKind": "FooList"}
    assert found["spec"]["conversion"] == {"strategy": "None"}
    assert found["status"]["storedVersions"] == ["v1"]


def test_a_new_storage_version_joins_the_stored_ones() -> None:
    old, _ = create(CRDS, "foos.x.io", spec=SPEC)
    versions = [{**VERSION, "storage": False}, {**VERSION, "name": "v2"}]
    new, faults = update(CRDS, old, spec={**old["spec"], "versions": versions})
    assert faults == [] and new["status"]["storedVersions"] == ["v1", "v2"]
    gone = update(CRDS, new, spec={**new["spec"], "versions": versions[1:]})[1]
    assert gone == ["status.storedVersions[0]"]


def test_what_addresses_objects_is_fixed_once_established() -> None:
    old, _ = create(CRDS, "foos.x.io", spec=SPEC)
    assert update(CRDS, old, spec={**old["spec"], "scope": "Cluster"})[1] == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert update(CRDS, old, spec={**old["spec"], "scope": "Cluster"})[1] == ["spec.scope"]


@pytest.mark.parametrize(
    ("annotation", "faults"),
    [("", True), ("https://example.com/1", False), ("unapproved, mine", False), ("yes", True)],
)
def test_protected_groups_need_an_approval(annotation: str, faults: bool) -> None:
    meta = {"name": "foos.a.k8s.io", "annotations": {"api-approved.kubernetes.io": annotation}}
    found = create(CRDS, "foos.a.k8s.io", spec={**SPEC, "group": "a.k8s.io"}, metadata=meta)[1]
    assert bool(found) == faults
