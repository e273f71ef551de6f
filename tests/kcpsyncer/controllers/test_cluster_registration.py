from typing import Any

import pytest
import yaml

from kcpsyncer.controllers.cluster_registration import (
    ABANDON,
    Heartbeat,
    Registration,
    Source,
    register,
    synced_resources,
)

GOOD = yaml.safe_dump(
    {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://east.example"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
)
FRESH, SILENT = Heartbeat(1.0), Heartbeat(60.0)


def cluster(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "east", "uid": "u", **metadata}, "spec": {"kubeconfig": "…"}}


def imported(compatible: str = "True", available: str = "True", location: str = "east") -> dict[str, Any]:
    conditions = [{"type": "Compatible", "status": compatible}, {"type": "Available", "status": available}]
    group_version = {"group": "apps", "version": "v1"}
    spec = {"groupVersion": group_version, "plural": "deployments", "kind": "Deployment", "openAPIV3Schema": {}}
    return {"spec": {**spec, "location": location}, "status": {"conditions": conditions}}


def decide(heartbeat: Heartbeat, *imports: dict[str, Any], text: str | None = GOOD, **metadata: Any) -> Registration:
    return register(cluster(**metadata), Source(text, "there is no such Secret"), imports, heartbeat)


def ready(found: Registration) -> tuple[str, str]:
    return (found.conditions[0].status, found.conditions[0].reason) if found.conditions else ("", "")


def test_only_what_is_compatible_and_available_is_synchronised() -> None:
    imports = [imported(), imported("False"), imported(available="False"), imported(location="west")]
    assert synced_resources(imports, "east") == ("deployments.apps",)
    assert synced_resources(imports[1:3], "east") == ()


@pytest.mark.parametrize(
    ("heartbeat", "imports", "expected"),
    [
        (FRESH, 0, ("", "")),
        (FRESH, 1, ("True", "SyncerReady")),
        (SILENT, 1, ("False", "SyncerNotReady")),
        (Heartbeat(), 0, ("", "")),
        (Heartbeat(), 1, ("Unknown", "SyncerInstalling")),
        (Heartbeat(1.0, "cannot be reached"), 1, ("False", "SyncerNotReady")),
        (Heartbeat(1.0, "cannot be reached"), 0, ("False", "ErrorStartingAPIImporter")),
    ],
)
def test_ready(heartbeat: Heartbeat, imports: int, expected: tuple[str, str]) -> None:
    """D-12: what is true now, not what was once written."""
    assert ready(decide(heartbeat, *[imported()] * imports)) == expected


@pytest.mark.parametrize("text", ["hello", GOOD.replace("https", "http"), None])
def test_a_kubeconfig_that_is_not_used(text: str | None) -> None:
    found = decide(FRESH, text=text)
    assert ready(found) == ("False", "InvalidKubeConfig") and found.access is None
    assert found.conditions[0].message.startswith("spec.kubeconfig: ")


def test_the_condition_names_the_field() -> None:
    found = decide(FRESH, text=GOOD.replace("token: t", "exec: {command: touch}"))
    assert found.conditions[0].message == "spec.kubeconfig: users[u].user.exec: programs are not executed"


def test_a_cluster_that_calls_us_needs_no_kubeconfig() -> None:
    found = register({"metadata": {"name": "east"}, "spec": {}}, Source(None), [], Heartbeat())
    assert found.access is None and ready(found) == ("Unknown", "SyncerInstalling")


def test_leaving_waits_for_the_agent_unless_told_otherwise() -> None:
    """D-27"""
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert decide(FRESH, imported(), **leaving).is_leaving and not decide(FRESH, imported(), **leaving).release
    assert decide(SILENT, imported(), **leaving, annotations={ABANDON: ""}).release
    assert decide(FRESH, text="hello", **leaving).release  # nothing can ever have been sent there


def test_certificates_that_cannot_be_used() -> None:
    found = register(cluster(), Source(GOOD), [], FRESH, lambda _access: "no key")
    assert ready(found) == ("False", "ErrorCreatingClient") and found.access is None
