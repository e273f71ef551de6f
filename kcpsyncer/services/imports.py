"""One ServiceImport of what several clusters export under one name, and the objects that carry it. Pure.

Ports are united by name; whatever else the clusters disagree about is as the oldest Service has it, and is told.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition
from kcpsyncer.services.exports import Exported, Port

Raw = Mapping[str, Any]
Object = dict[str, Any]
API_VERSION = "multicluster.x-k8s.io/v1alpha1"
SERVICE_NAME = "multicluster.kubernetes.io/service-name"
SOURCE_CLUSTER = "multicluster.kubernetes.io/source-cluster"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "services.kcp.dev"
EXPORT = "services.kcp.dev/export"  # label of all that we make: of which export
BROKER = "services.kcp.dev/broker"  # label of all that we make: which logical cluster's (UID of its namespace default)
_LOCAL_NAME = "kubernetes.io/service-name"
_ENDPOINT = ("addresses", "conditions", "hostname", "zone")  # a node means nothing elsewhere


class Place(NamedTuple):
    """Where the objects go: a namespace, above or below, and whose they are."""

    namespace: str
    name: str  # of the exported Service
    broker: str


class Combined(NamedTuple):
    ports: tuple[Port, ...]
    is_headless: bool
    affinity: str
    affinity_timeout_s: int | None
    exports: tuple[Exported, ...]  # the oldest first
    conflict: Condition


def combined(exports: Sequence[Exported]) -> Combined:
    """Of at least one."""
    ordered = tuple(sorted(exports, key=lambda each: (each.created, each.cluster)))
    oldest = ordered[0]
    ports, strange = _united(ordered)
    conflicts = [("PortConflict", strange)] if strange else []
    for reason, differs in (
        ("TypeConflict", lambda each: each.is_headless != oldest.is_headless),
        ("SessionAffinityConflict", lambda each: each.affinity != oldest.affinity),
        ("SessionAffinityConfigConflict", _differs_in_timeout(oldest)),
    ):
        if names := [each.cluster for each in ordered if differs(each)]:
            conflicts.append((reason, names))
    return Combined(
        ports, oldest.is_headless, oldest.affinity, oldest.affinity_timeout_s, ordered, _told(conflicts, oldest)
    )


def _differs_in_timeout(oldest: Exported) -> Any:
    return lambda each: each.affinity == oldest.affinity and each.affinity_timeout_s != oldest.affinity_timeout_s


def _united(ordered: Iterable[Exported]) -> tuple[tuple[Port, ...], list[str]]:
    """The ports, and the clusters that mean something else by one of them."""
    by_name: dict[str, Port] = {}
    taken: set[tuple[str, int]] = set()
    strange: list[str] = []
    for export in ordered:
        for port in export.ports:
            known = by_name.get(port.name)
            place = (port.protocol, port.port)
            if known is None and place not in taken:
                by_name[port.name] = port
                taken.add(place)
            elif known != port and export.cluster not in strange:
                strange.append(export.cluster)
    return tuple(by_name.values()), strange


def _told(conflicts: Sequence[tuple[str, Sequence[str]]], oldest: Exported) -> Condition:
    if not conflicts:
        return Condition("Conflict", "False", "NoConflicts")
    told = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in conflicts)
    return Condition("Conflict", "True", conflicts[0][0], f"differs from the Service in {oldest.cluster}: {told}")


# --- objects


def service_import(found: Combined, place: Place, ips: Sequence[str] = ()) -> Object:
    """Without its status, which is `import_status`."""
    spec: Object = {
        "type": "Headless" if found.is_headless else "ClusterSetIP",
        "ports": [_written(port) for port in found.ports],
        "sessionAffinity": found.affinity,
    }
    if ips:
        spec["ips"] = list(ips)
    if found.affinity_timeout_s is not None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": found.affinity_timeout_s}}
    return _object(API_VERSION, "ServiceImport", place, place.name, {"spec": spec})


def import_status(found: Combined) -> Object:
    return {"clusters": [{"cluster": each} for each in sorted(export.cluster for export in found.exports)]}


def derived_name(place: Place) -> str:
    """Of the Service that has the clusterset's address in a cluster: nobody's Service is called so."""
    digest = hashlib.sha256(f"{place.namespace}/{place.name}".encode()).digest()
    return f"derived-{base64.b32encode(digest[:10]).decode().lower()}"


def derived_service(found: Combined, place: Place) -> Object | None:
    """Without selector: its endpoints are the slices that are carried there. None: a headless one has no address."""
    if found.is_headless or not found.ports:
        return None
    spec: Object = {
        "type": "ClusterIP",
        "ports": [_written(port) for port in found.ports],
        "sessionAffinity": found.affinity,
    }
    if found.affinity_timeout_s is not None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": found.affinity_timeout_s}}
    return _object("v1", "Service", place, derived_name(place), {"spec": spec})


def carried_slices(found: Combined, place: Place, is_below: bool) -> list[Object]:
    """Of all clusters that export it; below they are the derived Service's as well."""
    made = []
    for export in found.exports:
        for each in export.slices:
            labels = {SERVICE_NAME: place.name, SOURCE_CLUSTER: export.cluster, MANAGED_BY: MANAGER}
            if is_below and not found.is_headless:
                labels[_LOCAL_NAME] = derived_name(place)
            content = {
                "addressType": each["addressType"],
                "endpoints": [_endpoint(one) for one in each.get("endpoints") or ()],
                "ports": list(each.get("ports") or ()),
            }
            made.append(
                _object(
                    "discovery.k8s.io/v1", "EndpointSlice", place, _slice_name(place, export, each), content, labels
                )
            )
    return made


def _slice_name(place: Place, export: Exported, each: Raw) -> str:
    digest = hashlib.sha256(f"{export.cluster}/{each['metadata']['name']}".encode()).hexdigest()[:10]
    return f"{place.name[:40].rstrip('-.')}-{digest}"


def _endpoint(raw: Raw) -> Object:
    return {key: raw[key] for key in _ENDPOINT if raw.get(key) is not None}


def _written(port: Port) -> Object:
    made: Object = {"protocol": port.protocol, "port": port.port}
    if port.name:
        made["name"] = port.name
    if port.app_protocol:
        made["appProtocol"] = port.app_protocol
    return made


def _object(
    api_version: str, kind: str, place: Place, name: str, content: Object, labels: Mapping[str, str] | None = None
) -> Object:
    marks = {**(labels or {}), BROKER: place.broker, EXPORT: place.name}
    metadata = {"name": name, "namespace": place.namespace, "labels": marks}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
