from typing import Any

import pytest

from kcpshard.definitions.kinds.pod_warnings import app_armor_profile, name_warnings, pod_warnings, template_warnings


def told(spec: dict[str, Any], annotations: dict[str, str] | None = None, name: str = "p") -> list[str]:
    return list(pod_warnings({"metadata": {"name": name, "annotations": annotations or {}}, "spec": spec}))


def container(**members: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "image": "i", **members}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (container(), []),
        (
            {"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]},
            ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            container(env=[{"name": "A", "value": "x"}, {"name": "A", "value": "$(A)y"}, {"name": "A", "value": "z"}]),
            [
                'spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply',
            ],
        ),
        (
            container(ports=[{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 1, "protocol": "TCP"}]),
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (
            container(resources={"limits": {"memory": "1500m"}}),
            [
                'spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, must be an '
                "integer"
            ],
        ),
        (
            {"imagePullSecrets": [{"name": "s"}, {"name": "s"}]},
            ['spec.imagePullSecrets[1].name: duplicate name "s"'],
        ),
        (
            {"terminationGracePeriodSeconds": -1},
            ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"],
        ),
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k"}]}}},
            [
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null "
                "labelSelector results in matching no pod"
            ],
        ),
    ],
)
def test_makers_of_pods_are_warned(spec: dict[str, Any], expected: list[str]) -> None:
    assert told(spec) == expected


def test_annotations_that_fields_have_replaced() -> None:
    app_armor = "container.apparmor.security.beta.kubernetes.io/a"
    noted = {"seccomp.security.alpha.kubernetes.io/pod": "x", app_armor: "unconfined"}
    found = list(template_warnings({"metadata": {"annotations": noted}, "spec": container()}, "spec.template"))
    assert found == [
        "spec.template.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use "
        'the "seccompProfile" field instead',
        f'spec.template.metadata.annotations[{app_armor}]: deprecated since v1.30; use the "appArmorProfile" field '
        "instead",
    ]
    profile = {"securityContext": {"appArmorProfile": app_armor_profile("unconfined"), "seccompProfile": {"type": "x"}}}
    assert told({**container(), **profile}, noted) == []


def test_names_that_are_no_host_names() -> None:
    assert told({}, name="a.b") != [] and list(name_warnings({"metadata": {"name": "a"}})) == []
