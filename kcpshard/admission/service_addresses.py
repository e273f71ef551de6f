"""Cluster addresses and node ports of Services, unique within a logical cluster.

There is no allocator beside the objects: what is taken is read from the IPAddresses and Services of the pending state,
in the loop turn of the commit, so two requests cannot get the same. An IPAddress is written and removed with its
Service. An address costs one look at each Service's index entry; node ports, which are rare, decode them.
"""

import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.admission.service_ranges import (
    ADDRESSES,
    DEFAULT,
    DEFAULT_RANGE,
    RANGES,
    ServiceRange,
    address_object,
    families_of,
    other_family,
    ranges_of,
)
from kcpshard.api.errors import FieldError, invalid, object_invalid
from kcpshard.definitions.kinds.services import address_faults
from kcpshard.storage import envelope
from kcpshard.storage.contract import Put, Remove

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes
    from kcpshard.storage.contract import LogicalCluster, ObjectStore

NODE_PORTS = range(30_000, 32_768)
_ALLOCATED = ("ClusterIP", "LoadBalancer", "NodePort")
_MOST = 100_000  # Services looked at
_MOST_RANGES = 1000

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
    ranges = _ranges(attributes)
    faults: list[FieldError] = []
    if spec.get("type") in _ALLOCATED:
        faults = (
            [*_set_families(spec, before, families_of(ranges))]
            or [*_give_addresses(attributes, spec, before, ranges)]
            or [*_give_ports(attributes, spec, before)]
        )
    elif spec.get("type") != "ExternalName":
        faults = [*address_faults(spec, before.get("clusterIPs") or ())]
    if faults:
        raise object_invalid("", "Service", attributes.name, faults)
    _note(attributes, _addresses_of(spec), _addresses_of(before))


def _ranges(attributes: "Attributes") -> Sequence[ServiceRange]:
    if attributes.cluster is None:
        return DEFAULT
    return ranges_of(attributes.store.scan_pending(attributes.cluster, RANGES, "", _MOST_RANGES))


def released(store: "ObjectStore", cluster: "LogicalCluster", service: bytes) -> list[Remove]:
    """What goes with a Service, given as it is stored: the IPAddresses that are its own."""
    if envelope.fields(service).get("spec.clusterIP", "") in ("", "None"):
        return []
    addresses = _addresses_of(orjson.loads(envelope.body(service))["spec"])
    return [removal for address in addresses for removal in _removals(store, cluster, address)]


def _addresses_of(spec: Object) -> list[str]:
    """Those allocated to it, as IPAddresses are named. What is none yet, validation says."""
    found: list[str] = []
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    for address in given if spec.get("type") in _ALLOCATED else ():
        with suppress(ValueError):
            found.append(str(ip_address(address)))
    return found


def _note(attributes: "Attributes", addresses: Sequence[str], before: Sequence[str]) -> None:
    """Say in the same commit which addresses are taken now, and which no longer."""
    meta = (attributes.object or {})["metadata"]
    for address in addresses:
        if address not in before:
            attributes.companions.append(_put(address, attributes.namespace, meta))
    for address in before:
        if address not in addresses and attributes.cluster is not None:
            attributes.companions.extend(_removals(attributes.store, attributes.cluster, address))


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


def _set_families(spec: Object, before: Object, served: Sequence[str]) -> Iterator[FieldError]:
    """Which kinds of addresses: `served` there are, but what is headless and chooses no pods may name any."""
    if _is_settled(spec, before):
        return
    is_bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or ("RequireDualStack" if is_bare else _SINGLE)
    faults = [*address_faults(spec, before.get("clusterIPs") or ())] or [*_count_faults(spec, before, served)]
    if not faults and not is_bare:
        faults = [*_unserved(spec, served)]
    yield from faults
    if not faults:
        families = spec["ipFamilies"] = list(spec.get("ipFamilies") or served[:1])
        if len(families) < 2 and spec["ipFamilyPolicy"] != _SINGLE and (is_bare or len(served) > 1):
            families.append(other_family(families[0]))


def _is_settled(spec: Object, before: Object) -> bool:
    """Nothing about addresses changes of what would take a second one and has none."""
    same = all((spec.get(member) or None) == (before.get(member) or None) for member in ("clusterIPs", "ipFamilies"))
    is_kept = spec.get("type") == before.get("type") and before.get("ipFamilyPolicy") in (None, _PREFER)
    return bool(before) and same and is_kept and spec.get("ipFamilyPolicy") == _PREFER


def _count_faults(spec: Object, before: Object, served: Sequence[str]) -> Iterator[FieldError]:
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
            family = "IPv6" if ":" in address else "IPv4"
            if family in served:
                families.append(family)
            else:
                text = f"{family} is not configured on this cluster"
                yield invalid(f"spec.clusterIPs[{place}]", spec["clusterIPs"], text)


def _unserved(spec: Object, served: Sequence[str]) -> Iterator[FieldError]:
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(served) < 2:
        text = "this cluster is not configured for dual-stack services"
        yield invalid("spec.ipFamilyPolicy", "RequireDualStack", text)
    for place, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in served:
            yield invalid(f"spec.ipFamilies[{place}]", family, "not configured on this cluster")


def _values(attributes: "Attributes") -> list[bytes]:
    if attributes.cluster is None:
        return []
    return attributes.store.scan_pending(attributes.cluster, "services", "", _MOST)


def _give_addresses(
    attributes: "Attributes", spec: Object, before: Object, ranges: Sequence[ServiceRange]
) -> Iterator[FieldError]:
    """One of each family that has none yet."""
    had = _addresses_of(before)
    if spec.get("clusterIP") == "None" or "None" in (before.get("clusterIPs") or ()):
        return
    addresses: list[str] = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
    for place, family in enumerate(spec.get("ipFamilies") or ()):
        if place < len(had):
            continue
        if place < len(addresses):
            yield from _address_faults(attributes, addresses[place], ranges)
        elif (found := _free_address(attributes, family, ranges)) is not None:
            addresses.append(found)
        else:
            yield invalid("spec.clusterIPs", addresses, "failed to allocate IP: range is full")
            return
    if addresses:
        spec["clusterIP"], spec["clusterIPs"] = addresses[0], addresses


def _free_address(attributes: "Attributes", family: str, ranges: Sequence[ServiceRange]) -> str | None:
    taken = {envelope.fields(value).get("spec.clusterIP") for value in _values(attributes)}
    assert attributes.object is not None
    start = zlib.crc32(attributes.object["metadata"]["uid"].encode())
    for each in ranges:
        if not each.is_ready or each.family != family:
            continue
        for address in each.candidates(start):
            if address not in taken and not _is_reserved(attributes, address):
                return address
    return None


def _address_faults(attributes: "Attributes", wanted: str, ranges: Sequence[ServiceRange]) -> Iterator[FieldError]:
    try:
        address = ip_address(wanted)
    except ValueError:
        return  # validation says so
    holding = [each for each in ranges if each.is_ready and each.holds(address)]
    if not holding:
        network = next((each.network for each in ranges if each.network.version == address.version), DEFAULT_RANGE)
        text = (
            "failed to allocate IP {0}: the provided network does not match the current range, not in the valid "
            f"range {network}"
        ).format(wanted)
        yield invalid("spec.clusterIPs", [wanted], text)
    elif not any(each.is_usable(address) for each in holding):
        yield invalid("spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: not a valid address to assign")
    elif not attributes.dry_run and _is_taken(attributes, str(address)):
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
