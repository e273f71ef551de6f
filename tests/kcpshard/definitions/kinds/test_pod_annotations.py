import pytest

from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_annotations import (
    MIRROR,
    annotation_faults,
    changed_faults,
    copy_profiles,
    match_faults,
)

SECCOMP, APPARMOR = "seccomp.security.alpha.kubernetes.io/pod", "container.apparmor.security.beta.kubernetes.io/a"
OF_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/a"
COST = "controller.kubernetes.io/pod-deletion-cost"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
SPEC: Object = {"containers": [{"name": "a"}]}


@pytest.mark.parametrize(
    ("annotations", "fields"),
    [
        ({}, []),
        ({MIRROR: "x"}, [f"m[{MIRROR}]"]),
        ({COST: "10"}, []),
        ({COST: "-007"}, []),
        ({COST: "007"}, [f"m[{COST}]"]),
        ({COST: str(2**31)}, [f"m[{COST}]"]),
        ({SECCOMP: "localhost/a", OF_CONTAINER: "docker/default"}, []),
        ({SECCOMP: "localhost/../a", OF_CONTAINER: "x"}, [f"m.{SECCOMP}", f"m.{OF_CONTAINER}"]),
        ({APPARMOR: "localhost/a"}, []),
        ({APPARMOR: "x", APPARMOR + "b": "unconfined"}, [f"m[{APPARMOR}]", f"m[{APPARMOR}b]"]),
        ({TOLERATIONS: '[{"key": "a", "operator": "x"}]'}, [f"m.{TOLERATIONS}[0].operator"]),
        ({TOLERATIONS: "["}, ["m"]),
    ],
)
def test_annotations_on_their_own(annotations: dict[str, str], fields: list[str]) -> None:
    assert [fault.field for fault in annotation_faults(annotations, SPEC, "m")] == fields


@pytest.mark.parametrize(
    ("annotation", "profile", "member"),
    [
        ("unconfined", {"type": "Unconfined"}, ""),
        ("runtime/default", {"type": "Unconfined"}, "type"),
        ("localhost/a", {"type": "Localhost", "localhostProfile": "a"}, ""),
        ("localhost/a", {"type": "Localhost", "localhostProfile": "b"}, "localhostProfile"),
        ("unconfined", {"type": "Localhost", "localhostProfile": "b"}, "type"),
        ("anything", {"type": "unknown"}, ""),
    ],
)
def test_an_annotation_and_a_field_say_the_same(annotation: str, profile: Object, member: str) -> None:
    for key, name in ((OF_CONTAINER, "seccompProfile"), (APPARMOR, "appArmorProfile")):
        spec = {"containers": [{"name": "a", "securityContext": {name: profile}}]}
        found = [fault.field for fault in match_faults({key: annotation}, spec, "spec")]
        assert found == ([f"spec.containers[0].securityContext.{name}.{member}"] if member else [])


def test_the_pods_own_profile_counts_for_its_containers() -> None:
    spec = {**SPEC, "securityContext": {"appArmorProfile": {"type": "Unconfined"}}}
    assert [f.field for f in match_faults({APPARMOR: "runtime/default"}, spec, "spec")] == [
        "spec.containers[0].securityContext.appArmorProfile.type"
    ]
    assert list(match_faults({APPARMOR: "runtime/default"}, {**spec, "os": {"name": "windows"}}, "spec")) == []


@pytest.mark.parametrize(
    ("annotation", "profile"),
    [
        ("runtime/default", {"type": "RuntimeDefault"}),
        ("localhost/a", {"type": "Localhost", "localhostProfile": "a"}),
        ("localhost/", None),
        ("x", None),
    ],
)
def test_a_new_pods_fields_take_over_profiles(annotation: str, profile: Object | None) -> None:
    pod: Object = {"metadata": {"annotations": {APPARMOR: annotation}}, "spec": {"containers": [{"name": "a"}]}}
    copy_profiles(pod)
    context = pod["spec"]["containers"][0].get("securityContext")
    assert context == (None if profile is None else {"appArmorProfile": profile})


def test_profiles_may_not_change() -> None:
    old = {"metadata": {"annotations": {APPARMOR: "unconfined", "x": "y"}}}
    assert list(changed_faults(old, old)) == []
    new: Object = {"metadata": {"annotations": {APPARMOR: "runtime/default", MIRROR: "m"}}}
    texts = [fault.detail for fault in changed_faults(new, old)]
    assert texts == [
        "Forbidden: may not remove or update AppArmor annotations",
        "Forbidden: may not add mirror pod annotation",
    ]
