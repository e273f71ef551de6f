"""Cluster addresses and node ports of Services, unique within a logical cluster.

There is no allocator beside the objects: what is taken is read from the Services of the pending state, in the loop turn
of the commit, so two requests cannot get the same. An address costs one look at each Service's index entry; node ports,
which are rare, decode them.
"""

import zlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.admission.service_ranges import DEFAULT_RANGE
from kcpshard.api.errors import FieldError, invalid, object_invalid
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

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
    if spec.get("type") not in _ALLOCATED:
        return
    before = (attributes.old or {}).get("spec") or {}
    faults = [*_give_address(attributes, spec, before), *_give_ports(attributes, spec, before)]
    if faults:
        raise object_invalid("", "Service", attributes.name, faults)


def _values(attributes: "Attributes") -> list[bytes]:
    if attributes.cluster is None:
        return []
    return attributes.store.scan_pending(attributes.cluster, "services", "", _MOST)


def _give_address(attributes: "Attributes", spec: Object, before: Object) -> Iterator[FieldError]:
    wanted = spec.get("clusterIP", "")
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv6"] if ":" in wanted else ["IPv4"]
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = "SingleStack"
    if wanted == "None" or (wanted and wanted == before.get("clusterIP")):
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
        if address not in taken:
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
    elif any(envelope.fields(value).get("spec.clusterIP") == wanted for value in _values(attributes)):
        text = f"failed to allocate IP {wanted}: provided IP is already allocated"
        yield invalid("spec.clusterIPs", [wanted], text)


def _give_ports(attributes: "Attributes", spec: Object, before: Object) -> Iterator[FieldError]:
    ports = [port for port in spec.get("ports") or () if _wants_port(spec, port)]
    if not ports:
        return
    own = {(p.get("protocol"), p["nodePort"]) for p in before.get("ports") or () if p.get("nodePort")}
    taken = set(_taken_ports(attributes)) - own
    for place, port in enumerate(spec["ports"]):
        number = port.get("nodePort", 0)
        if not number:
            continue
        path = f"spec.ports[{place}].nodePort"
        if number not in NODE_PORTS:
            text = (
                f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
            )
            yield invalid(path, number, text)
        elif (port.get("protocol"), number) in taken:
            yield invalid(path, number, "provided port is already allocated")
        taken.add((port.get("protocol"), number))
    numbers = {number for _, number in taken}
    assert attributes.object is not None
    start = zlib.crc32(attributes.object["metadata"]["uid"].encode())
    free = (n for s in range(len(NODE_PORTS)) if (n := NODE_PORTS[(start + s) % len(NODE_PORTS)]) not in numbers)
    for port in ports:
        if not port.get("nodePort"):
            port["nodePort"] = next(free, 0)


def _wants_port(spec: Object, port: Object) -> bool:
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        return bool(port.get("nodePort"))
    return bool(spec["type"] != "ClusterIP")


def _taken_ports(attributes: "Attributes") -> Iterator[tuple[str, int]]:
    for value in _values(attributes):
        body = envelope.body(value)
        if b'"nodePort"' in body:
            for port in orjson.loads(body)["spec"].get("ports") or ():
                if port.get("nodePort"):
                    yield port.get("protocol", "TCP"), port["nodePort"]
