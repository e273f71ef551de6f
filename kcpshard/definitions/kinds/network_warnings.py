"""What kube-apiserver warns of in addresses and networks that it accepts: forms that not everybody reads alike."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from kcpshard.definitions.checks import lenient_address
from kcpshard.definitions.contract import Object

Warnings = Iterator[str]
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_SLICE_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
_ENDPOINTS_MANAGED_BY, _ENDPOINTS_CONTROLLER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
_INGRESS_CLASS = "kubernetes.io/ingress.class"


def address_warnings(path: str, text: str) -> Warnings:
    found = lenient_address(text)
    if found is None:
        return
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        yield f'{path}: non-standard IP address "{text}" is invalid: use "{found.ipv4_mapped}"'
    elif isinstance(found, IPv4Address) and str(found) != text:
        yield f'{path}: non-standard IP address "{text}" is invalid: use "{found}"'
    elif str(found) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{found}")'


def network_warnings(path: str, text: str) -> Warnings:
    base, _, length = text.partition("/")
    address = lenient_address(base)
    if address is None or not length.isdecimal() or int(length) > address.max_prefixlen:
        return
    is_mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    shown: IPv4Address | IPv6Address = address
    bits = int(length)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and bits >= 96:
        shown, bits = address.ipv4_mapped, bits - 96
    network = ip_network(f"{shown}/{bits}", strict=False)
    clean = True
    if network.network_address != shown:
        clean = False
        single = f"{shown}/{shown.max_prefixlen}"
        yield f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    if is_mapped or (isinstance(address, IPv4Address) and (str(address) != base or str(int(length)) != length)):
        clean = False
        yield f'{path}: non-standard CIDR value "{text}" is invalid: use "{network}"'
    if clean and isinstance(address, IPv6Address) and f"{address}/{int(length)}" != text:
        yield f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{address}/{int(length)}")'


def policy_warnings(policy: Object) -> Warnings:
    for member, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate((policy.get("spec") or {}).get(member) or ()):
            for place, peer in enumerate(rule.get(peers) or ()):
                if (block := peer.get("ipBlock")) is None:
                    continue
                path = f"spec.{member}[{number}].{peers}[{place}].ipBlock"
                yield from network_warnings(f"{path}.cidr", block.get("cidr", ""))
                for at, text in enumerate(block.get("except") or ()):
                    yield from network_warnings(f"{path}.except[{at}]", text)


def endpoints_warnings(endpoints: Object) -> Warnings:
    if (endpoints["metadata"].get("labels") or {}).get(_ENDPOINTS_MANAGED_BY) == _ENDPOINTS_CONTROLLER:
        return  # which writes them as they should be
    for number, subset in enumerate(endpoints.get("subsets") or ()):
        for member in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(member) or ()):
                yield from address_warnings(f"subsets[{number}].{member}[{place}].ip", address.get("ip", ""))


def type_warnings(endpoint_slice: Object) -> Warnings:
    if endpoint_slice.get("addressType") == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"


def slice_warnings(endpoint_slice: Object) -> Warnings:
    if (endpoint_slice["metadata"].get("labels") or {}).get(_MANAGED_BY) in _SLICE_CONTROLLERS:
        return
    for number, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        for place, address in enumerate(endpoint.get("addresses") or ()):
            yield from address_warnings(f"endpoints[{number}].addresses[{place}]", address)


def ingress_warnings(ingress: Object) -> Warnings:
    is_annotated = _INGRESS_CLASS in (ingress["metadata"].get("annotations") or {})
    if is_annotated and (ingress.get("spec") or {}).get("ingressClassName") is None:
        yield f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def node_warnings(node: Object) -> Warnings:
    spec = node.get("spec") or {}
    if spec.get("configSource") is not None:
        yield "spec.configSource: the feature is removed"
    if spec.get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"
    for place, text in enumerate(spec.get("podCIDRs") or ()):
        yield from network_warnings(f"spec.podCIDRs[{place}]", text)
