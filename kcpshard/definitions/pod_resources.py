"""Requests and limits of a pod as a whole: containers run together, init containers one after another (except those
that go on beside the others), whichever needs more; overhead on top. As k8s.io/component-helpers `resource`."""

from collections.abc import Iterator, Mapping
from typing import Any

from kcpshard.definitions.contract import Object
from kcpshard.definitions.quantities import Quantity, parse_quantity, total

Amounts = dict[str, Quantity]


def amounts(container: Mapping[str, Any], kind: str) -> Amounts:
    """`kind` is requests or limits."""
    given = (container.get("resources") or {}).get(kind) or {}
    return {name: parse_quantity(str(text)) for name, text in given.items()}


def pod_requests(pod: Object, kind: str) -> Amounts:
    spec = pod.get("spec") or {}
    together: Amounts = {}
    for container in spec.get("containers") or ():
        together = _sum(together, amounts(container, kind))
    beside: Amounts = {}  # init containers that do not end
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            together, beside = _sum(together, own), _sum(beside, own)
            most = _larger(most, beside)
        else:
            most = _larger(most, _sum(own, beside))
    found = _larger(together, most)
    found = {**found, **amounts(spec, kind)}
    overhead = {name: parse_quantity(str(text)) for name, text in (spec.get("overhead") or {}).items()}
    if kind == "limits":
        overhead = {name: amount for name, amount in overhead.items() if name in found}
    return _sum(found, overhead)


def is_best_effort(pod: Object) -> bool:
    """Whether no container asks for, or is limited in, processor or memory."""
    spec = pod.get("spec") or {}
    for part in (*all_containers(pod), spec):
        given = part.get("resources") or {}
        for kind in ("requests", "limits"):
            for name, text in (given.get(kind) or {}).items():
                if name in ("cpu", "memory") and parse_quantity(str(text)).value:
                    return False
    return True


def container_names_without(pod: Object, kind: str, resource: str) -> list[str]:
    if resource in amounts(pod.get("spec") or {}, kind):
        return []
    return [c.get("name", "") for c in all_containers(pod) if resource not in amounts(c, kind)]


def all_containers(pod: Object) -> Iterator[dict[str, Any]]:
    spec = pod.get("spec") or {}
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: total([each[name] for each in (one, other) if name in each]) for name in {**one, **other}}


def _larger(one: Amounts, other: Amounts) -> Amounts:
    found = dict(one)
    for name, amount in other.items():
        if name not in found or amount.value > found[name].value:
            found[name] = amount
    return found
