from typing import Any

from kcpsyncer.free_capacity import free


def node(name: str, ready: str = "True", **allocatable: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name}, "status": {"allocatable": allocatable, "conditions": conditions}}


def pod(node: str, phase: str = "Running", **requests: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    return {"spec": {**spec, "nodeName": node} if node else spec, "status": {"phase": phase}}


def test_allocatable_less_what_is_asked_for() -> None:
    nodes = [node("a", cpu="4", memory="8Gi", pods="10"), node("b", "False", cpu="64", pods="100")]
    pods = [
        pod("a", cpu="1500m", memory="1Gi"),
        pod("", "Pending", cpu="500m"),
        pod("a", "Succeeded", cpu="2"),
        pod("b", cpu="2"),
    ]
    assert free(nodes, pods) == {"cpu": "2", "memory": "7Gi", "pods": "8"}


def test_never_below_nothing_and_nothing_that_no_node_has() -> None:
    assert free([node("a", cpu="1", pods="1")], [pod("a", cpu="2", gpu="1")]) == {"cpu": "0", "pods": "0"}
    assert free([], [pod("", "Pending", cpu="1")]) == {}
