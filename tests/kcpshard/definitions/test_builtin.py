import pytest

from kcpshard.definitions.builtin import builtin_resources, group_resource


def test_minimal_is_the_prototypes_list() -> None:
    names = {group_resource(r.group, r.plural) for r in builtin_resources("minimal")}
    assert len(names) == 22
    assert {"configmaps", "leases.coordination.k8s.io", "events.events.k8s.io"} <= names
    assert not {"pods", "services", "deployments.apps"} & names


def test_full_has_everything() -> None:
    found = {(r.group, r.version, r.plural): r for r in builtin_resources("full")}
    assert {"status", "eviction", "log", "resize"} <= set(found["", "v1", "pods"].subresources)
    assert set(found["apps", "v1", "deployments"].subresources) == {"scale", "status"}
    assert ("", "v1", "bindings") in found
    assert found["autoscaling", "v1", "horizontalpodautoscalers"].storage_version == "autoscaling/v2"


def test_both_events_are_one_stored_type() -> None:
    core, new = (r for r in builtin_resources("minimal") if r.plural == "events")
    assert core.group_resource == new.group_resource == "events"
    assert new.storage_resource is core and core.storage_resource is None
    assert core.retention == new.retention == 1


def test_traits() -> None:
    found = {r.plural: r for r in builtin_resources("minimal")}
    assert found["leases"].create_on_update and not found["leases"].unconditional_update
    assert found["leases"].retention == 2
    assert found["configmaps"].unconditional_update and not found["configmaps"].create_on_update
    assert found["tokenreviews"].virtual and not found["secrets"].virtual
    assert found["roles"].metadata_rules.name == "path_segment" and found["namespaces"].metadata_rules.name == "label"
    assert "type" in found["secrets"].field_names and "status.phase" in found["namespaces"].field_names
    assert found["customresourcedefinitions"].strategy.has_generation()


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match="minimal, full"):
        builtin_resources("everything")
