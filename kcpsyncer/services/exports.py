"""What of a Service in one physical cluster others get to know. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition
from kcpsyncer.placement.leafs import leaf_name

Raw = Mapping[str, Any]


class Port(NamedTuple):
    name: str
    protocol: str
    port: int
    app_protocol: str


class Exported(NamedTuple):
    """A Service as one cluster has it. `created` decides where clusters disagree: the older one wins."""

    cluster: str
    created: str  # RFC 3339
    ports: tuple[Port, ...]
    is_headless: bool
    affinity: str  # None or ClientIP
    affinity_timeout_s: int | None
    slices: tuple[Raw, ...]


def names_of(name: str, cluster: str) -> tuple[str, str]:
    """Of the exported Service in that cluster: its own, or that of its leaf there."""
    return name, leaf_name(name, cluster)


def exported(cluster: str, service: Raw, slices: Sequence[Raw]) -> Exported | Condition:
    """A Condition (Valid, False) of what cannot be exported."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        message = f"the Service in {cluster} is of type ExternalName"
        return Condition("Valid", "False", "InvalidServiceType", message)
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return Exported(
        cluster,
        service["metadata"].get("creationTimestamp") or "",
        tuple(_port(each) for each in spec.get("ports") or ()),
        spec.get("clusterIP") == "None",
        spec.get("sessionAffinity") or "None",
        client.get("timeoutSeconds"),
        tuple(slices),
    )


def _port(raw: Raw) -> Port:
    return Port(raw.get("name") or "", raw.get("protocol") or "TCP", raw["port"], raw.get("appProtocol") or "")
