"""Cluster addresses and node ports of Services, unique within a logical cluster.

There is no allocator beside the objects: what is taken is read from the IPAddresses and Services of the pending state,
in the loop turn of the commit, so two requests cannot get the same. An IPAddress is written and removed with its
Service. An address costs one look at each Service's index entry; node ports, which are rare, decode them.
"""

import uuid
import zlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.admission.service_ranges import ADDRESSES, DEFAULT_RANGE, address_object
from kcpshard.api.errors import FieldError, invalid, object_invalid
from kcpshard.definitions.kinds.services import address_faults
from kcpshard.storage import envelope
from kcpshard.storage.contract import Put, Remove

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes
    from kcpshard.storage.contract import LogicalCluster, ObjectStore

RANGE = DEFAULT_RANGE
NODE_PORTS = range(30_000, 32_768)
_ALLOCATED = ("ClusterIP", "LoadBalancer", "NodePort")
_MOST = 100_000  # Services looked at

Object = dict[str, Any]


def admit(attributes: "Attributes") -> None:
    """Fill in what the creator left open; refuse what another Service has."""
    resource = attributes.resource
    if resource.group_resource != "services" or resource.definition is not None:
        return  # a definition of the tenant's may use the name too
    if attributes.subresource or attributes.object is None:
        return
    spec = attributes.object["spec"]
    before = (attributes.old or {}).get("spec") or {}
    faults: list[FieldError] = []
    if spec.get("type") in _ALLOCATED:
        faults = (
            [*_set_families(spec, before)]
            or [*_give_address(attributes, spec, before)]
            or [*_give_ports(attributes, spec, before)]
        )
    elif spec.get("type") != "ExternalName":
        faults = [*address_faults(spec)]
    if faults:
        raise object_invalid("", "Service", attributes.name, faults)
    _note(attributes, _address_of(spec), _address_of(before))


def released(store: "ObjectStore", cluster: "LogicalCluster", service: bytes) -> list[Remove]:
    """What goes with a Service, given as it is stored: the IPAddress that is its own."""
    address = envelope.fields(service).get("spec.clusterIP", "")
    return _removals(store, cluster, "" if address == "None" else address)


def _address_of(spec: Object) -> str:
    address: str = spec.get("clusterIP", "") if spec.get("type") in _ALLOCATED else ""
    try:
        return str(ip_address(address)) if address and address != "None" else ""
    except ValueError:
        return ""  # validation says so


def _note(attributes: "Attributes", address: str, before: str) -> None:
    """Say in the same commit which address is taken now, and which no longer."""
    if address == before:
        return
    meta = (attributes.object or {})["metadata"]
    if address:
        attributes.companions.append(_put(address, attributes.namespace, meta))
    if before and attributes.cluster is not None:
        attributes.companions.extend(_removals(attributes.store, attributes.cluster, before))


def _put(address: str, namespace: str, service: Object) -> Put:
    obj, uid = address_object(address, namespace, service.get("name", "")), str(uuid.uuid4())
    meta = {**obj["metadata"], "uid": uid, "creationTimestamp": service["creationTimestamp"]}
    json, hole, annotations = envelope.encode_object({**obj, "metadata": meta})
    version, labels, fields = obj["apiVersion"], meta["labels"], {"spec.parentRef.name": service.get("name", "")}
    return Put(ADDRESSES, "", address, json, hole, annotations, uid, version, labels, fields)


def _removals(store: "ObjectStore", cluster: "LogicalCluster", address: str) -> list[Remove]:
    value = store.pending(cluster, ADDRESSES, "", address) if address else None
    if value is None:
        return []
    return [Remove(ADDRESSES, "", address, envelope.body_at(value, 0), envelope.hole(value))]


_SINGLE, _PREFER = "SingleStack", "PreferDualStack"


def _set_families(spec: Object, before: Object) -> Iterator[FieldError]:
    """Which kinds of addresses: this server has one, but what is headless and chooses no pods may name any."""
    if _is_settled(spec, before):
        return
    is_bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or ("RequireDualStack" if is_bare else _SINGLE)
    faults = [*address_faults(spec)] or [*_count_faults(spec, before)]
    yield from faults
    if not faults and is_bare:
        families = spec["ipFamilies"] = list(spec.get("ipFamilies") or ["IPv4"])
        if len(families) < 2 and spec["ipFamilyPolicy"] != _SINGLE:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    elif not faults:
        yield from _unserved(spec)
        spec["ipFamilies"] = spec.get("ipFamilies") or ["IPv4"]


def _is_settled(spec: Object, before: Object) -> bool:
    """Nothing about addresses changes of what would take a second one and has none."""
    same = all((spec.get(member) or None) == (before.get(member) or None) for member in ("clusterIPs", "ipFamilies"))
    is_kept = spec.get("type") == before.get("type") and before.get("ipFamilyPolicy") in (None, _PREFER)
    return bool(before) and same and is_kept and spec.get("ipFamilyPolicy") == _PREFER


def _count_faults(spec: Object, before: Object) -> Iterator[FieldError]:
    """One family or two, as the policy says; and the family of each address that is named."""
    path, policy = "spec.ipFamilyPolicy", spec["ipFamilyPolicy"]
    for member, one, several in (
        ("clusterIPs", "cluster IP", "cluster IPs"), ("ipFamilies", "IP family", "IP families"),
    ):  # fmt: skip
        given, had = spec.get(member) or [], before.get(member) or []
        if policy == _SINGLE and before and given == had and len(given) > 1:
            given = spec[member] = given[:1]
        if policy != _SINGLE and before and 0 < len(given) < len(had):
            yield invalid(path, policy, f"must be 'SingleStack' to release the secondary {one}")
        if policy == _SINGLE and len(given) == 2:
            text = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            yield invalid(path, policy, text)
    families = spec["ipFamilies"] = list(spec.get("ipFamilies") or ())
    for place, address in enumerate(spec.get("clusterIPs") or ()):
        if address == "None":
            break
        if place >= len(families):
            if ":" in address:
                text = "IPv6 is not configured on this cluster"
                yield invalid(f"spec.clusterIPs[{place}]", spec["clusterIPs"], text)
            else:
                families.append("IPv4")


def _unserved(spec: Object) -> Iterator[FieldError]:
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        yield invalid("spec.ipFamilyPolicy", "RequireDualStack", text)
    for place, family in enumerate(spec.get("ipFamilies") or ()):
        if family != "IPv4":
            yield invalid(f"spec.ipFamilies[{place}]", family, "not configured on this cluster")


def _values(attributes: "Attributes") -> list[bytes]:
    if attributes.cluster is None:
        return []
    return attributes.store.scan_pending(attributes.cluster, "services", "", _MOST)


def _give_address(attributes: "Attributes", spec: Object, before: Object) -> Iterator[FieldError]:
    wanted = spec.get("clusterIP", "")
    if wanted == "None" or before.get("type") in _ALLOCATED:
        return
    if wanted:
        yield from _address_faults(attributes, wanted)
        return
    taken = {envelope.fields(value).get("spec.clusterIP") for value in _values(attributes)}
    assert attributes.object is not None
    start = zlib.crc32(attributes.object["metadata"]["uid"].encode())
    size = RANGE.num_addresses - 12  # neither the network, its first ten addresses nor the broadcast address
    for step in range(size):
        address = str(RANGE[11 + (start + step) % size])
        if address not in taken and not _is_reserved(attributes, address):
            spec["clusterIP"], spec["clusterIPs"] = address, [address]
            return
    yield invalid("spec.clusterIPs", [], "failed to allocate IP: range is full")


def _address_faults(attributes: "Attributes", wanted: str) -> Iterator[FieldError]:
    try:
        address = ip_address(wanted)
    except ValueError:
        return  # validation says so
    if address not in RANGE:
        text = (
            "failed to allocate IP {0}: the provided network does not match the current range, not in the valid "
            f"range {RANGE}"
        ).format(wanted)
        yield invalid("spec.clusterIPs", [wanted], text)
    elif address in (RANGE.network_address, RANGE.broadcast_address):
        yield invalid("spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: not a valid address to assign")
    elif not attributes.dry_run and _is_taken(attributes, wanted):
        text = f"failed to allocate IP {wanted}: provided IP is already allocated"
        yield invalid("spec.clusterIPs", [wanted], text)


def _is_taken(attributes: "Attributes", address: str) -> bool:
    return _is_reserved(attributes, address) or any(
        envelope.fields(value).get("spec.clusterIP") == address for value in _values(attributes)
    )


def _is_reserved(attributes: "Attributes", address: str) -> bool:
    """Whether there is an IPAddress, of whomever."""
    cluster = attributes.cluster
    return cluster is not None and attributes.store.pending(cluster, ADDRESSES, "", address) is not None


def _give_ports(attributes: "Attributes", spec: Object, before: Object) -> Iterator[FieldError]:
    ports = [port for port in spec.get("ports") or () if _wants_port(spec, port)]
    checks_health = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if not ports and not checks_health:
        return
    taken = set(_taken_ports(attributes)) - set(_ports_of(before))
    for place, port in enumerate(spec.get("ports") or ()):
        number = port.get("nodePort", 0)
        if number and number not in NODE_PORTS:
            if not attributes.dry_run:
                yield _outside(f"spec.ports[{place}].nodePort", number)
        elif number and (port.get("protocol"), number) in taken:
            yield invalid(f"spec.ports[{place}].nodePort", number, "provided port is already allocated")
        taken.add((port.get("protocol"), number))
    yield from _give_health_port(attributes, spec, before, taken, checks_health)
    free = _free_ports(attributes, taken)
    for port in ports:
        if not port.get("nodePort"):
            port["nodePort"] = next(free, 0)


def _give_health_port(
    attributes: "Attributes", spec: Object, before: Object, taken: set[tuple[str, int]], is_wanted: bool
) -> Iterator[FieldError]:
    """The port where nodes tell balancers whether they have pods."""
    path, number = "spec.healthCheckNodePort", spec.get("healthCheckNodePort", 0)
    if not is_wanted or number == before.get("healthCheckNodePort", -1):
        return
    if not number:
        number = spec["healthCheckNodePort"] = next(_free_ports(attributes, taken), 0)
    elif number not in NODE_PORTS and not attributes.dry_run:
        yield _outside(path, number)
    elif any(number == known for _, known in taken):
        yield invalid(path, number, f"failed to allocate requested HealthCheck NodePort {number}: already allocated")
    taken.add(("TCP", number))


def _outside(path: str, number: int) -> FieldError:
    text = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
    return invalid(path, number, text)


def _free_ports(attributes: "Attributes", taken: set[tuple[str, int]]) -> Iterator[int]:
    assert attributes.object is not None
    numbers = {number for _, number in taken}
    start = zlib.crc32(attributes.object["metadata"]["uid"].encode())
    found = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
    return (number for number in found if number not in numbers)


def _ports_of(spec: Object) -> Iterator[tuple[str, int]]:
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            yield port.get("protocol", "TCP"), port["nodePort"]
    if spec.get("healthCheckNodePort"):
        yield "TCP", spec["healthCheckNodePort"]


def _wants_port(spec: Object, port: Object) -> bool:
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        return bool(port.get("nodePort"))
    return bool(spec["type"] != "ClusterIP")


def _taken_ports(attributes: "Attributes") -> Iterator[tuple[str, int]]:
    for value in _values(attributes):
        body = envelope.body(value)
        if b'"nodePort"' in body or b'"healthCheckNodePort"' in body:
            yield from _ports_of(orjson.loads(body)["spec"])
