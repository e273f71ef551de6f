"""What one replica of a workload asks of its cluster, as the scheduler counts it. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kcpsyncer.capacity import quantity

Raw = Mapping[str, Any]


def request_of(obj: Raw) -> dict[str, float]:
    """In base units, by resource; `pods` is 1. Of what has no pods nothing."""
    template = (obj.get("spec") or {}).get("template") or {}
    pod = template.get("spec") or {}
    if not pod.get("containers"):
        return {}
    running = _sum(_asked(each) for each in pod["containers"])
    sidecars: dict[str, Decimal] = {}
    starting: dict[str, Decimal] = {}
    for each in pod.get("initContainers") or ():
        asked = _asked(each)
        if each.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, asked))
            starting = _most(starting, sidecars)
        else:
            starting = _most(starting, _sum((sidecars, asked)))
    found = _most(_sum((running, sidecars)), starting)
    found = {**found, **_quantities((pod.get("resources") or {}).get("requests"))}
    found = _sum((found, _quantities(pod.get("overhead"))))
    return {**{name: float(value) for name, value in found.items() if value}, "pods": 1.0}


def free_of(status: Raw) -> dict[str, float]:
    """What a Cluster says is left for pods; empty if it does not say."""
    return {name: float(value) for name, value in _quantities(status.get("free")).items()}


def _asked(container: Raw) -> dict[str, Decimal]:
    """A limit without a request is one, as it is for a kubelet."""
    resources = container.get("resources") or {}
    return {**_quantities(resources.get("limits")), **_quantities(resources.get("requests"))}


def _quantities(raw: Raw | None) -> dict[str, Decimal]:
    found = {}
    for name, text in (raw or {}).items():
        try:
            found[name] = quantity(text)
        except ValueError:
            continue
    return found


def _sum(parts: Any) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, Decimal(0)) + value
    return total


def _most(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {*one, *other}}
