"""What a physical cluster has left for further pods. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kcpsyncer.capacity import is_usable, quantity, totals, written
from kcpsyncer.placement.pod_requests import request_of

Raw = Mapping[str, Any]
_ENDED = ("Succeeded", "Failed")


def free(nodes: Iterable[Raw], pods: Iterable[Raw]) -> dict[str, str]:
    """What the usable nodes have for pods, less what pods on them ask for, and pods that wait for a node; never below
    zero. Pods on other nodes take nothing of it."""
    nodes = list(nodes)
    usable = {node["metadata"]["name"] for node in nodes if is_usable(node)}
    left = {name: quantity(text) for name, text in totals(nodes, "allocatable").items()}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if (node and node not in usable) or (pod.get("status") or {}).get("phase") in _ENDED:
            continue
        for name, asked in request_of({"spec": {"template": {"spec": pod["spec"]}}}).items():
            if name in left:
                left[name] -= Decimal(str(asked))
    return {name: written(max(value, Decimal(0))) for name, value in left.items()}
