from typing import Any

import pytest

from kcpsyncer.placement.cluster_states import cluster_state, told_health
from kcpsyncer.placement.failure_detection import Health
from kcpsyncer.placement.model import ClusterState, Taint


def cluster(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "east", "labels": {"region": "eu"}}, "spec": spec or {}, "status": status}


def state(obj: dict[str, Any], health: Health = Health.HEALTHY) -> ClusterState:
    return cluster_state(obj, "deployments.apps", health)


def test_what_it_is() -> None:
    given = cluster({"taints": [{"key": "a", "effect": "NoExecute"}]}, free={"pods": "7"})
    assert state(given) == ClusterState(
        "east", {"region": "eu"}, (Taint("a", "", "NoExecute"),), free={"pods": 7.0}, serves=False
    )
    assert state(cluster(syncedResources=["deployments.apps"])).serves


def test_what_keeps_workloads_away() -> None:
    assert state(cluster({"cordon": True})).is_cordoned
    assert state(cluster({"drain": True})).is_draining
    leaving = cluster()
    leaving["metadata"]["deletionTimestamp"] = "now"
    assert state(leaving).is_draining
    assert not state(cluster(conditions=[{"type": "Usable", "status": "False"}])).may_be_used
    assert state(cluster(), Health.SUSPECT).is_suspect and state(cluster(), Health.LOST).is_lost


@pytest.mark.parametrize(
    ("status", "expected"), [("True", Health.HEALTHY), ("Unknown", Health.SUSPECT), ("False", Health.LOST)]
)
def test_what_is_written_down_of_its_health(status: str, expected: Health) -> None:
    assert told_health(cluster(conditions=[{"type": "Responsive", "status": status}])) is expected
    assert told_health(cluster()) is Health.HEALTHY
