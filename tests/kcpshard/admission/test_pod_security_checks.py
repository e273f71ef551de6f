from typing import Any

import pytest

from kcpshard.admission.pod_security_checks import TABLE, told, violations
from kcpshard.admission.pod_security_levels import Standard

GOOD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "a", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}


def text(level: str, spec: dict[str, Any], minor: int = 36, annotations: dict[str, str] | None = None) -> str:
    return told(violations(Standard(level, minor), annotations or {}, spec))


def container(**security: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "securityContext": security}]}


def test_a_careful_pod_passes_everywhere_and_privileged_looks_at_nothing() -> None:
    for minor in range(40):
        assert text("restricted", GOOD, minor) == text("baseline", GOOD, minor) == ""
    assert text("privileged", container(privileged=True)) == ""


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            container(privileged=True),
            'privileged (container "a" must not set securityContext.privileged=true)',
        ),
        ({"hostNetwork": True, "hostIPC": True}, "host namespaces (hostNetwork=true, hostIPC=true)"),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "emptyDir": {}}]},
            'hostPath volumes (volume "v")',
        ),
        (
            {"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}, {"hostPort": 0}]}]},
            'hostPort (container "a" uses hostPorts 443, 80)',
        ),
        (
            container(capabilities={"add": ["NET_RAW", "CHOWN"]}),
            'non-default capabilities (container "a" must not include "NET_RAW" in securityContext.capabilities.add)',
        ),
        (
            {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]},
            'probe or lifecycle host (container "a" uses probe or lifecycle host "h")',
        ),
        (
            {"securityContext": {"seLinuxOptions": {"type": "x", "user": "u"}}},
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "x"; user may not be set)',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}},
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            container(procMount="Unmasked"),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            {**container(seccompProfile={"type": "Unconfined"}), "securityContext": {"seccompProfile": {"type": "X"}}},
            'seccompProfile (pod and container "a" must not set securityContext.seccompProfile.type to "Unconfined", '
            '"X")',
        ),
        (
            container(appArmorProfile={"type": "Unconfined"}),
            'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
        ),
    ],
)
def test_baseline_forbids(spec: dict[str, Any], expected: str) -> None:
    assert text("baseline", spec) == expected


def test_restricted_tells_everything_in_one_order() -> None:
    assert text(
        "restricted", {"containers": [{"name": "a"}, {"name": "b"}], "volumes": [{"name": "v", "nfs": {}}]}
    ) == (
        'allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation='
        'false), unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]), '
        'restricted volume types (volume "v" uses restricted volume type "nfs"), runAsNonRoot != true (pod or '
        'containers "a", "b" must set securityContext.runAsNonRoot=true), seccompProfile (pod or containers "a", "b" '
        'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )


def test_versions_differ() -> None:
    own_users = {
        **GOOD,
        "hostUsers": False,
        "securityContext": {"runAsUser": 0, "seccompProfile": {"type": "Localhost"}},
    }
    assert text("restricted", own_users, 35) == ""
    assert text("restricted", own_users, 34).startswith("runAsNonRoot != true")
    assert "runAsUser=0" in text("restricted", own_users, 23) and "runAsUser" not in text("restricted", own_users, 22)
    windows = {"os": {"name": "windows"}, "containers": [{"name": "a"}], "securityContext": {"runAsNonRoot": True}}
    assert text("restricted", windows, 25) == "" != text("restricted", windows, 24)
    marked = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    shown = 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    assert text("baseline", {}, 18, marked) == shown and text("baseline", {}, 19, marked) == ""
    unmasked = {**container(procMount="Unmasked"), "hostUsers": False}
    assert text("baseline", unmasked, 35) == "" != text("baseline", unmasked, 34)
    assert "procMount" in text("restricted", unmasked, 35)


def test_the_table_is_in_the_order_in_which_violations_are_told() -> None:
    for level in ("baseline", "restricted"):
        ids = [row.id for row in TABLE if row.level == level]
        assert ids == sorted(ids)
    assert all([v for v, _ in row.versions] == sorted(v for v, _ in row.versions) for row in TABLE)
