import pytest

from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_level_faults import (
    host_process_faults,
    host_users_faults,
    resources_faults,
    system_faults,
)


def container(name: str = "a", **resources: dict[str, str]) -> Object:
    return {"name": name, "resources": resources}


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, []),
        ({"os": {}}, ["s.os.name"]),
        ({"os": {"name": "x"}}, ["s.os"]),
        ({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}}, ["s.securityContext.windowsOptions"]),
        (
            {"os": {"name": "windows"}, "hostPID": True, "securityContext": {"runAsUser": 0},
                "containers": [{"securityContext": {"privileged": False}}]},
            ["s.hostPID", "s.securityContext.runAsUser", "s.containers[0].securityContext.privileged"],
        ),
    ],
)  # fmt: skip
def test_operating_systems(spec: Object, fields: list[str]) -> None:
    assert [fault.field for fault in system_faults(spec, "s")] == fields


def test_processes_of_the_host_are_all_or_none() -> None:
    host: Object = {"securityContext": {"windowsOptions": {"hostProcess": True}}}
    spec = {"containers": [host, {"name": "b"}]}
    assert [fault.field for fault in host_process_faults(spec, "s")] == ["s", "s.hostNetwork"]
    assert list(host_process_faults({"containers": [host], "hostNetwork": True}, "s")) == []
    mixed = {**host, "containers": [{"securityContext": {"windowsOptions": {"hostProcess": False}}}]}
    assert [f.field for f in host_process_faults(mixed, "s")] == [
        "s.containers[0].securityContext.windowsOptions.hostProcess"
    ]


def test_own_users_share_nothing_with_the_host() -> None:
    spec = {"hostUsers": False, "hostNetwork": True, "hostIPC": True}
    assert [fault.field for fault in host_users_faults(spec, "s")] == ["s.hostNetwork", "s.HostIPC"]
    assert list(host_users_faults({**spec, "hostUsers": True}, "s")) == []


@pytest.mark.parametrize(
    ("resources", "fields"),
    [
        ({"requests": {"cpu": "2"}}, []),
        ({"requests": {"cpu": "1"}}, ["s.resources.requests[cpu]"]),
        ({"limits": {"storage": "1Gi"}}, ["s.resources.limits[storage]"]),
        ({"limits": {"cpu": "1"}}, ["s.resources.containers[0][cpu].limits"]),
        ({"claims": [{"name": "c"}]}, ["s.resources.claims", "s.resources.claims[0]"]),
    ],
)
def test_a_pod_has_room_for_its_containers(resources: Object, fields: list[str]) -> None:
    first = [
        container("i", requests={"cpu": "1"}),
        {**container("s", requests={"cpu": "500m"}), "restartPolicy": "Always"},
    ]
    regular = [container("a", requests={"cpu": "1"}, limits={"cpu": "2"})]
    spec = {"resources": resources, "initContainers": first, "containers": regular}
    assert [fault.field for fault in resources_faults(spec, "s")] == fields


def test_resources_are_not_for_windows() -> None:
    assert [f.field for f in resources_faults({"os": {"name": "windows"}, "resources": {}}, "s")] == ["s.resources"]
