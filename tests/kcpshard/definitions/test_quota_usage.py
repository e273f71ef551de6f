from typing import Any

import pytest

from kcpshard.definitions.quota_usage import is_counted_by, read, shown, source, unspecified, usage


def pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1"}}}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("configmaps", "configmaps"),
        ("count/widgets.example.com", "widgets.example.com"),
        ("services.nodeports", "services"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("requests.storage", "persistentvolumeclaims"),
        ("gold.deviceclass.resource.k8s.io/devices", "resourceclaims.resource.k8s.io"),
        ("limits.memory", "pods"),
        ("requests.example.com/dongle", "pods"),
    ],
)
def test_where_a_name_is_counted(name: str, expected: str) -> None:
    assert source(name) == expected


SERVICE = {"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2, "nodePort": 30000}]}}
FREE = {"spec": {**SERVICE["spec"], "allocateLoadBalancerNodePorts": False}}
CLAIM = {
    "metadata": {},
    "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}},
}
DEVICES = {"spec": {"devices": {"requests": [{"exactly": {"deviceClassName": "gold", "count": 2}}]}}}


@pytest.mark.parametrize(
    ("kept_as", "obj", "expected"),
    [
        ("secrets", {}, "count/secrets=1,secrets=1"),
        ("widgets.example.com", {}, "count/widgets.example.com=1"),
        ("services", SERVICE, "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"),
        ("services", FREE, "count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"),
        (
            "persistentvolumeclaims",
            CLAIM,
            "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,"
            "gold.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi",
        ),
        (
            "resourceclaims.resource.k8s.io",
            DEVICES,
            "count/resourceclaims.resource.k8s.io=1,gold.deviceclass.resource.k8s.io/devices=2",
        ),
        ("pods", {**pod(), "status": {"phase": "Failed"}}, "count/pods=1"),
        (
            "pods",
            pod(),
            "count/pods=1,cpu=500m,limits.cpu=1,memory=1Gi,pods=1,requests.cpu=500m,requests.memory=1Gi",
        ),
    ],
)
def test_usage(kept_as: str, obj: dict[str, Any], expected: str) -> None:
    assert shown(usage(kept_as, obj)) == expected


@pytest.mark.parametrize(
    ("spec", "obj", "expected"),
    [
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=1), True),
        ({"scopes": ["NotTerminating"]}, pod(activeDeadlineSeconds=1), False),
        ({"scopes": ["BestEffort"]}, pod(), False),
        ({"scopes": ["NotBestEffort"]}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod(containers=[{"name": "c"}]), True),
    ],
)
def test_scopes(spec: dict[str, Any], obj: dict[str, Any], expected: bool) -> None:
    assert is_counted_by(spec, "pods", obj) is expected
    assert not is_counted_by(spec, "configmaps", obj)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ["high"], True), ("NotIn", ["high"], False), ("Exists", [], True), ("DoesNotExist", [], False)],
)
def test_priority_classes(operator: str, values: list[str], expected: bool) -> None:
    scope = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    spec = {"scopeSelector": {"matchExpressions": [scope]}}
    assert is_counted_by(spec, "pods", pod(priorityClassName="high")) is expected


@pytest.mark.parametrize(
    ("operator", "values", "claim", "expected"),
    [
        ("In", ["gold"], {"spec": {"volumeAttributesClassName": "gold"}}, True),
        ("In", ["gold"], {"status": {"currentVolumeAttributesClassName": "gold"}}, True),
        ("In", ["gold"], {"status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold"}}}, True),
        ("In", ["gold"], {"spec": {"volumeAttributesClassName": "tin"}}, False),
        ("NotIn", ["gold"], {"spec": {}}, True),
        ("Exists", [], {"spec": {"volumeAttributesClassName": ""}}, False),
        ("DoesNotExist", [], {"spec": {}}, True),
    ],
)
def test_classes_of_volume_attributes(operator: str, values: list[str], claim: dict[str, Any], expected: bool) -> None:
    scope = {"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}
    spec = {"scopeSelector": {"matchExpressions": [scope]}}
    assert is_counted_by(spec, "persistentvolumeclaims", claim) is expected
    assert not is_counted_by({"scopes": ["BestEffort"]}, "persistentvolumeclaims", claim)


def test_limited_resources_must_be_named() -> None:
    assert unspecified(read({"cpu": "1", "limits.memory": "1Gi", "pods": "2"}), pod()) == "limits.memory for: c"
