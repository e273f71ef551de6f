"""The ranges that Services' addresses come from, and the IPAddress objects that say which are taken. Pure.

The ServiceCIDRs of a logical cluster are its ranges. Which families of addresses it has is said by the one named
`kubernetes`, as by kube-apiserver's flags: its first range is of the family that Services get unasked. It is made for
both families by adding a range of the other one to it.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import orjson

from kcpshard.api.objects import Object
from kcpshard.storage import envelope

DEFAULT_CIDR = "kubernetes"
DEFAULT_RANGE = IPv4Network("10.96.0.0/16")
KUBERNETES = str(DEFAULT_RANGE[1])  # of the Service `kubernetes` in `default`
ADDRESSES = "ipaddresses.networking.k8s.io"
RANGES = "servicecidrs.networking.k8s.io"
MANAGED_BY = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
_V4, _V6 = "IPv4", "IPv6"
_FEWEST, _MOST = 16, 256  # addresses of a range that are kept for those who name one
_LARGEST = 1 << 64

Network = IPv4Network | IPv6Network


class ServiceRange(NamedTuple):
    name: str  # of its ServiceCIDR
    network: Network
    is_ready: bool

    @property
    def family(self) -> str:
        return f"IPv{self.network.version}"

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        return address.version == self.network.version and address in self.network

    def is_usable(self, address: IPv4Address | IPv6Address) -> bool:
        """Not the network's own address, nor, of IPv4, the broadcast address."""
        network = self.network
        if address == network.network_address:
            return False
        return isinstance(network, IPv6Network) or address != network.broadcast_address

    def candidates(self, start: int) -> Iterator[str]:
        """All usable addresses, from somewhere in the upper part on; then the lower part, kept for who names one."""
        network = self.network
        size = min(network.num_addresses, _LARGEST) - (2 if isinstance(network, IPv4Network) else 1)
        kept = 0 if size <= _FEWEST else min(max(size // 16, _FEWEST), _MOST)
        for first, count in ((1 + kept, size - kept), (1, kept)):
            for step in range(count):
                yield str(network[first + (start + step) % count])


DEFAULT = (ServiceRange(DEFAULT_CIDR, DEFAULT_RANGE, True),)


def ranges_of(values: Sequence[bytes]) -> Sequence[ServiceRange]:
    """Of the stored ServiceCIDRs, the one named `kubernetes` first; where there are none, the one that should be."""
    found: list[ServiceRange] = []
    for value in values:
        obj = orjson.loads(envelope.body(value))
        is_ready, name = is_ready_range(obj), obj["metadata"]["name"]
        texts = obj["spec"].get("cidrs") or ()
        found += [ServiceRange(name, ip_network(text, strict=False), is_ready) for text in texts]
    return sorted(found, key=lambda each: each.name != DEFAULT_CIDR) or DEFAULT


def is_ready_range(obj: Object) -> bool:
    """One that nobody has said anything about is: there may be nobody."""
    if obj["metadata"].get("deletionTimestamp"):
        return False
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return all(c.get("status") == "True" for c in conditions if c.get("type") == "Ready")


def families_of(ranges: Sequence[ServiceRange]) -> Sequence[str]:
    """The families of the logical cluster, the one that comes unasked first."""
    return tuple(dict.fromkeys(each.family for each in ranges if each.name == DEFAULT_CIDR)) or (_V4,)


def other_family(family: str) -> str:
    return _V6 if family == _V4 else _V4


def address_object(address: str, namespace: str, service: str) -> Object:
    """The IPAddress of a Service's address, but for its metadata by the server."""
    labels = {
        "ipaddress.kubernetes.io/ip-family": f"IPv{ip_address(address).version}",
        MANAGED_BY[0]: MANAGED_BY[1],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": service}},
    }
