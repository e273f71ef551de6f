from typing import Any

from kcpshard.tenancy import workspace_status

WORKSPACE: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Scheduling"}}


def conditions(workspace: dict[str, Any]) -> dict[str, tuple[str, str]]:
    found = workspace["status"]["conditions"]
    return {each["type"]: (each["status"], each["lastTransitionTime"]) for each in found}


def test_scheduled() -> None:
    found = workspace_status.scheduled(WORKSPACE, "root:a", "https://x", {"status": {"phase": "Ready"}}, "t1")
    assert found["spec"] == {"cluster": "root:a", "URL": "https://x"}
    assert found["status"]["phase"] == "Ready"
    assert conditions(found) == {"WorkspaceScheduled": ("True", "t1"), "WorkspaceInitialized": ("True", "t1")}
    assert WORKSPACE["status"] == {"phase": "Scheduling"}


def test_times_tell_when_a_condition_became_what_it_is() -> None:
    waiting = {"status": {"phase": "Initializing", "initializers": ["a", "b"]}}
    first = workspace_status.scheduled(WORKSPACE, "p", "u", waiting, "t1")
    second = workspace_status.mirroring(first, {"status": {"phase": "Initializing", "initializers": ["a"]}}, "t2")
    assert conditions(second)["WorkspaceInitialized"] == ("False", "t1")
    assert second["status"]["initializers"] == ["a"]
    third = workspace_status.mirroring(second, {"status": {"phase": "Ready"}}, "t3")
    assert conditions(third)["WorkspaceInitialized"] == ("True", "t3")
    assert "initializers" not in third["status"]


def test_what_a_deletion_waits_for_is_shown_at_the_workspace() -> None:
    left = workspace_status.with_content_left({"status": {"phase": "Deleting"}}, "c has 1", "t1")
    found = workspace_status.mirroring(WORKSPACE, left, "t2")
    assert found["status"]["phase"] == "Deleting"
    assert found["status"]["conditions"][0]["message"] == "c has 1"


def test_unscheduled() -> None:
    found = workspace_status.unscheduled(WORKSPACE, "NameTaken", "it is taken", "t1")
    assert found["status"]["conditions"][0]["reason"] == "NameTaken"
    assert found["status"]["phase"] == "Scheduling"
