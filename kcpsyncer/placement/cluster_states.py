"""A Cluster object as placing sees it. Pure."""

from collections.abc import Mapping
from typing import Any

from kcpsyncer.conditions import status_of
from kcpsyncer.placement.failure_detection import Health
from kcpsyncer.placement.health_notes import RESPONSIVE
from kcpsyncer.placement.model import ClusterState, Taint
from kcpsyncer.placement.pod_requests import free_of

Raw = Mapping[str, Any]
USABLE = "Usable"  # condition of a Cluster that is somebody else's: whether this logical cluster may use it


def cluster_state(cluster: Raw, group_resource: str, health: Health, is_pull: bool = False) -> ClusterState:
    """For workloads of `group_resource`. `is_pull`: its agent stops its copies by itself when it cannot reach us."""
    metadata, spec, status = cluster["metadata"], cluster.get("spec") or {}, cluster.get("status") or {}
    return ClusterState(
        metadata["name"],
        metadata.get("labels") or {},
        tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ()),
        free=free_of(status),
        serves=group_resource in (status.get("syncedResources") or ()),
        may_be_used=status_of(status.get("conditions"), USABLE) != "False",
        is_cordoned=bool(spec.get("cordon")),
        is_draining=bool(spec.get("drain") or metadata.get("deletionTimestamp")),
        is_suspect=health is Health.SUSPECT,
        is_lost=health is Health.LOST,
        is_pull=is_pull,
    )


def told_health(cluster: Raw) -> Health:
    """As the controllers' failure detector has written it down."""
    found = status_of((cluster.get("status") or {}).get("conditions"), RESPONSIVE)
    return {"Unknown": Health.SUSPECT, "False": Health.LOST}.get(found, Health.HEALTHY)
