"""What a Workspace says of its logical cluster: phase, address and conditions. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from kcpshard.api.objects import Object
from kcpshard.tenancy.logical_clusters import mirrored
from kcpshard.tenancy.names import (
    CONTENT_DELETED,
    DELETING,
    INHERITED,
    INITIALIZED,
    INITIALIZING,
    SCHEDULED,
    TERMINATING,
)

_MAX_CONFLICTS = 10  # told in one condition


def scheduled(workspace: Object, path: str, url: str, logical_cluster: Mapping[str, Any], time: str) -> Object:
    """The Workspace once its logical cluster exists."""
    spec = {**workspace["spec"], "cluster": path, "URL": url}
    found = {**workspace, "spec": spec, "status": dict(workspace.get("status") or {})}
    _set(found["status"], SCHEDULED, "True", time)
    return mirroring(found, logical_cluster, time)


def unscheduled(workspace: Object, reason: str, message: str, time: str) -> Object:
    found = {**workspace, "status": dict(workspace.get("status") or {})}
    _set(found["status"], SCHEDULED, "False", time, reason, message)
    return found


def mirroring(workspace: Object, logical_cluster: Mapping[str, Any], time: str) -> Object:
    """The Workspace with what its LogicalCluster says now."""
    status = {
        key: value
        for key, value in (workspace.get("status") or {}).items()
        if key not in ("phase", "initializers", "terminators")
    }
    status |= mirrored(logical_cluster)
    phase = status.get("phase")
    if phase == INITIALIZING:
        message = f"Initializers still exist: [{' '.join(status.get('initializers') or ())}]"
        _set(status, INITIALIZED, "False", time, "InitializerExists", message)
    elif phase in (TERMINATING, DELETING):
        said = _condition(logical_cluster.get("status") or {}, CONTENT_DELETED)
        if said is not None:
            _set(status, CONTENT_DELETED, "False", time, said.get("reason", ""), said.get("message", ""))
    else:
        _set(status, INITIALIZED, "True", time)
    return {**workspace, "status": status}


def with_content_left(logical_cluster: Object, message: str, time: str) -> Object:
    """The LogicalCluster, saying what its end waits for."""
    found = {**logical_cluster, "status": dict(logical_cluster.get("status") or {})}
    _set(found["status"], CONTENT_DELETED, "False", time, "SomeResourcesRemain", message)
    return found


def with_inheritance(
    logical_cluster: Object, conflicts: Sequence[str], time: str, condition: str = INHERITED
) -> Object:
    """The LogicalCluster, saying which definitions (or rights) of its ancestors do not count in it."""
    found = {**logical_cluster, "status": dict(logical_cluster.get("status") or {})}
    if conflicts:
        _set(found["status"], condition, "False", time, "Conflict", "; ".join(conflicts[:_MAX_CONFLICTS]))
    else:
        _set(found["status"], condition, "True", time)
    return found


def _condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    return next((each for each in status.get("conditions") or () if each["type"] == type_), None)


def _set(status: Object, type_: str, value: str, time: str, reason: str = "", message: str = "") -> None:
    wanted: Object = {"type": type_, "status": value}
    if value == "False":
        wanted |= {"severity": "Info", "reason": reason, "message": message}
    old = _condition(status, type_)
    same = old is not None and all(old.get(key) == value for key, value in wanted.items())
    if same:
        return
    kept_time = old["lastTransitionTime"] if old is not None and old["status"] == value else time
    conditions = [each for each in status.get("conditions") or () if each["type"] != type_]
    conditions.append({**wanted, "lastTransitionTime": kept_time})
    status["conditions"] = sorted(conditions, key=lambda each: str(each["type"]))
