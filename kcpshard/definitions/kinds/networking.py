"""Ingress, IngressClass, NetworkPolicy, Endpoints, EndpointSlice, IPAddress and ServiceCIDR."""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_many
from kcpshard.api.names import dns_label_faults, dns_subdomain_faults, path_segment_faults
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.network_warnings import (
    endpoints_warnings,
    ingress_warnings,
    policy_warnings,
    slice_warnings,
    type_warnings,
)
from kcpshard.definitions.kinds.pod_defaults import fill, fill_absent
from kcpshard.definitions.strategies import Rules

Faults = Iterator[FieldError]
GROUP = "networking.k8s.io"
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_BAD_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_WILDCARD = re.compile(r"\*(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def _ingress(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        yield invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend_faults(spec["defaultBackend"], "spec.defaultBackend")
    for place, rule in enumerate(spec.get("rules") or ()):
        path = f"spec.rules[{place}]"
        if rule.get("host"):
            yield from _host_faults(rule["host"], f"{path}.host")
        if (http := rule.get("http")) is not None:
            yield from checks.present(http, f"{path}.http", "paths")
            for number, entry in enumerate(http.get("paths") or ()):
                yield from _path_faults(entry, f"{path}.http.paths[{number}]")
    for place, entry in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(entry.get("hosts") or ()):
            yield from _host_faults(host, f"spec.tls[{place}].hosts[{number}]", may_be_address=True)
        if entry.get("secretName"):
            yield from checks.dns_subdomain(f"spec.tls[{place}].secretName", entry["secretName"])
    if (name := spec.get("ingressClassName")) is not None:
        yield from checks.dns_subdomain("spec.ingressClassName", name)


def _host_faults(host: str, path: str, may_be_address: bool = False) -> Faults:
    if not may_be_address and checks.is_ip(host):
        yield invalid(path, host, "must be a DNS name, not an IP address")
    if "*" not in host:
        yield from checks.dns_subdomain(path, host)
    elif not _WILDCARD.fullmatch(host):
        text = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            "'*.example.com', regex used for validation is "
            "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
        yield invalid(path, host, text)


def _path_faults(entry: Object, path: str) -> Faults:
    kind, value = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            yield invalid(f"{path}.path", value, "must be an absolute path")
        for text in _BAD_PATHS:
            if text in value:
                yield invalid(f"{path}.path", value, f"must not contain '{text}'")
        for text in ("/..", "/."):
            if value.endswith(text):
                yield invalid(f"{path}.path", value, f"cannot end with '{text}'")
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            yield invalid(f"{path}.path", value, "must be an absolute path")
    else:
        yield from checks.one_supported(f"{path}.pathType", kind, _PATH_TYPES, optional=True)
    yield from _backend_faults(entry.get("backend") or {}, f"{path}.backend")


def _backend_faults(backend: Object, path: str) -> Faults:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        if (group := resource.get("apiGroup")) is not None:
            yield from checks.dns_subdomain(f"{path}.resource.apiGroup", group)
        for member in ("kind", "name"):
            if resource.get(member):
                yield from checks.path_segment(f"{path}.resource.{member}", resource[member])
            else:
                yield required(f"{path}.resource.{member}")
    elif service is not None:
        name, port = service.get("name", ""), service.get("port") or {}
        if not name:
            yield required(f"{path}.service.name")
        else:
            yield from (invalid(f"{path}.service.name", name, text) for text in dns_label_faults(name))
        if port.get("name") and port.get("number"):
            yield invalid(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            yield from checks.port_or_name(f"{path}.service.port.name", port["name"])
        elif port.get("number"):
            yield from checks.port_number(f"{path}.service.port.number", port["number"])
        else:
            yield required(path, "port name or number is required")
    else:
        yield invalid(path, "", "resource or service backend is required")


def _ingress_create(obj: Object) -> Faults:
    yield from _ingress(obj)
    annotation = "kubernetes.io/ingress.class"
    if annotation in (obj["metadata"].get("annotations") or {}) and (obj.get("spec") or {}).get("ingressClassName"):
        text = "can not be set when the class field is also set"
        yield invalid(f"metadata.annotations[{annotation}]", obj["metadata"]["annotations"][annotation], text)


def _ingress_status(new: Object, old: Object) -> Faults:
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for place, entry in enumerate(ingress):
        path = f"status.loadBalancer.ingress[{place}]"
        if entry.get("ip"):
            yield from checks.address(f"{path}.ip", entry["ip"])
        if entry.get("hostname"):
            yield from _host_faults(entry["hostname"], f"{path}.hostname")


def _default_class(obj: Object) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def _class(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    if len(controller) > 250:
        yield FieldError("spec.controller", "FieldValueTooLong", "Too long: may not be more than 250 bytes")
    yield from checks.domain_prefixed_path("spec.controller", controller)
    if (parameters := spec.get("parameters")) is not None:
        path = "spec.parameters"
        if (group := parameters.get("apiGroup")) is not None:
            yield from checks.dns_subdomain(f"{path}.apiGroup", group)
        for member in ("kind", "name"):
            if parameters.get(member):
                yield from checks.path_segment(f"{path}.{member}", parameters[member])
            else:
                yield required(f"{path}.{member}")
        yield from checks.supported(f"{path}.scope", parameters["scope"], ("Cluster", "Namespace"))
        if parameters.get("scope") == "Namespace" and not parameters.get("namespace"):
            yield required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
        if parameters.get("scope") == "Cluster" and parameters.get("namespace") is not None:
            yield forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")


def _class_update(new: Object, old: Object) -> Faults:
    after, before = ((o.get("spec") or {}).get("controller") for o in (new, old))
    yield from checks.unchanged("spec.controller", after, before)


def _default_policy(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            fill(port, protocol="TCP")


def _policy(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from checks.selector("spec.podSelector", spec.get("podSelector"))
    for direction, member in (("ingress", "from"), ("egress", "to")):
        for place, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{place}]"
            for number, port in enumerate(rule.get("ports") or ()):
                yield from _policy_port(port, f"{path}.ports[{number}]")
            for number, peer in enumerate(rule.get(member) or ()):
                yield from _peer_faults(peer, f"{path}.{member}[{number}]")
    types = spec.get("policyTypes") or ()
    if len(types) > 2:
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for place, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield checks.unsupported(f"spec.policyTypes[{place}]", kind, ("Ingress", "Egress"))


def _policy_port(port: Object, path: str) -> Faults:
    number, end = port.get("port"), port.get("endPort")
    yield from checks.one_supported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS)
    if number is not None:
        yield from checks.port_or_name(f"{path}.port", number)
    if end is None:
        return
    if number is None:
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
    else:
        if end < number:
            yield invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")
        yield from checks.port_number(f"{path}.endPort", end)


def _peer_faults(peer: Object, path: str) -> Faults:
    given = [member for member in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(member) is not None]
    for member in given:
        if member != "ipBlock":
            yield from checks.selector(f"{path}.{member}", peer[member])
            continue
        block = peer[member]
        if not block.get("cidr"):
            yield required(f"{path}.ipBlock.cidr")
        else:
            yield from checks.network(f"{path}.ipBlock.cidr", block["cidr"])
            yield from _except_faults(block, f"{path}.ipBlock")
    if not given:
        yield required(path, "must specify a peer")
    elif len(given) > 1 and "ipBlock" in given:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _except_faults(block: Object, path: str) -> Faults:
    """Each must be a part of `cidr`, if that can be read."""
    whole = checks.lenient_network(block["cidr"])
    for place, text in enumerate((block.get("except") or ()) if whole is not None else ()):
        yield from checks.network(f"{path}.except[{place}]", text)
        part = checks.lenient_network(text)
        if part is not None and whole is not None:
            is_inside = part.version == whole.version and part.network_address in whole
            if not is_inside or whole.prefixlen >= part.prefixlen:
                yield invalid(f"{path}.except[{place}]", text, "must be a strict subset of `cidr`")


# --- endpoints


def _default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            fill(port, protocol="TCP")


def _endpoints(obj: Object) -> Faults:
    for place, subset in enumerate(obj.get("subsets") or ()):
        path, ports = f"subsets[{place}]", subset.get("ports") or ()
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for member in ("addresses", "notReadyAddresses"):
            for number, entry in enumerate(subset.get(member) or ()):
                yield from _endpoint_address(entry, f"{path}.{member}[{number}]")
        for number, port in enumerate(ports):
            here = f"{path}.ports[{number}]"
            if port.get("name"):
                yield from checks.dns_label(f"{here}.name", port["name"])
            elif len(ports) > 1:
                yield required(f"{here}.name")
            yield from checks.port_number(f"{here}.port", port.get("port", 0))
            yield from checks.one_supported(f"{here}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
            if port.get("appProtocol") is not None:
                yield from checks.qualified_name(f"{here}.appProtocol", port["appProtocol"])


def _endpoint_address(entry: Object, path: str) -> Faults:
    faults = list(checks.address(f"{path}.ip", entry.get("ip", "")))
    yield from faults or checks.outside_address(f"{path}.ip", entry.get("ip", ""))
    if entry.get("hostname"):
        yield from checks.dns_label(f"{path}.hostname", entry["hostname"])
    if entry.get("nodeName") is not None:
        yield from checks.dns_subdomain(f"{path}.nodeName", entry["nodeName"])


def _default_slice(obj: Object) -> None:
    for port in obj.get("ports") or ():
        if port.get("name") is None:
            port["name"] = ""
        fill_absent(port, protocol="TCP")


def _slice(obj: Object) -> Faults:
    yield from checks.one_supported("addressType", obj.get("addressType", ""), ("FQDN", "IPv4", "IPv6"))
    yield from _slice_ports(obj)


def _slice_endpoints(obj: Object) -> Faults:
    kind, endpoints = obj.get("addressType", ""), obj.get("endpoints") or ()
    if len(endpoints) > 1000:
        yield FieldError("endpoints", "FieldValueTooMany", f"Too many: {len(endpoints)}: must have at most 1000 items")
        return
    for place, endpoint in enumerate(endpoints):
        path, addresses = f"endpoints[{place}]", endpoint.get("addresses") or ()
        if not addresses:
            yield required(f"{path}.addresses", "must contain at least 1 address")
        if len(addresses) > 100:
            yield too_many(f"{path}.addresses", len(addresses), 100)
        for number, text in enumerate(addresses):
            yield from _slice_address(f"{path}.addresses", number, kind, text)
        if endpoint.get("nodeName") is not None:
            yield from checks.dns_subdomain(f"{path}.nodeName", endpoint["nodeName"])
        if endpoint.get("hostname") is not None:
            yield from checks.dns_label(f"{path}.hostname", endpoint["hostname"])
        yield from checks.labels(f"{path}.deprecatedTopology", endpoint.get("deprecatedTopology"))
        yield from _hint_faults(endpoint.get("hints") or {}, f"{path}.hints")


def _slice_ports(obj: Object) -> Faults:
    ports, names = obj.get("ports") or (), set[str]()
    if len(ports) > 20_000:
        yield too_many("ports", len(ports), 20_000)
        return
    for place, port in enumerate(ports):
        path, name = f"ports[{place}]", port["name"]
        if name:
            yield from checks.dns_label(f"{path}.name", name)
        if name in names:
            yield FieldError(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
        names.add(name)
        yield from checks.supported(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
        if port.get("appProtocol") is not None:
            yield from checks.qualified_name(f"{path}.appProtocol", port["appProtocol"])


def _slice_address(path: str, number: int, kind: str, text: str) -> Faults:
    here = f"{path}[{number}]"
    if kind == "FQDN":
        yield from _full_name_faults(here, text)
    elif kind in ("IPv4", "IPv6"):
        faults = list(checks.address(here, text))
        if not faults and kind == "IPv6" and str(ip_address(text)) != text:
            faults = [invalid(here, text, f'must be in canonical form ("{ip_address(text)}")')]
        if not faults and (":" in text) != (kind == "IPv6"):
            yield invalid(path, text, f"must be an {kind} address")
        yield from faults or checks.outside_address(here, text)


def _full_name_faults(path: str, name: str) -> Faults:
    bare = name.removesuffix(".")
    if not name:
        yield required(path)
    elif faults := list(checks.dns_subdomain(path, bare)):
        yield from faults
    elif "." not in bare:
        yield invalid(path, name, "should be a domain with at least two segments separated by dots")


_MOST_HINTS = 8


def _hint_faults(hints: Object, path: str) -> Faults:
    rules = {"forZones": label_value_faults, "forNodes": dns_subdomain_faults}
    for member, rule in rules.items():
        given = [hint.get("name", "") for hint in hints.get(member) or ()]
        if len(given) > _MOST_HINTS:
            yield too_many(f"{path}.{member}", len(given), _MOST_HINTS)
            return
        for place, name in enumerate(given):
            here = f"{path}.{member}[{place}].name"
            if name in given[:place]:
                yield duplicate(here, name)
            yield from (invalid(here, name, text) for text in rule(name))


def _drop_topology(new: Object, old: Object | None) -> None:
    """v1 knows nodes and zones; what older versions said in a map stays where nothing else changes."""
    before = (old or {}).get("endpoints")
    if old is not None and before == new.get("endpoints"):
        return
    host = "kubernetes.io/hostname"
    known = {(endpoint.get("deprecatedTopology") or {}).get(host) for endpoint in before or ()}
    for endpoint in new.get("endpoints") or ():
        name = (endpoint.pop("deprecatedTopology", None) or {}).get(host)
        if name and name in known and endpoint.get("nodeName") is None and not dns_subdomain_faults(name):
            endpoint["nodeName"] = name


def _slice_update(new: Object, old: Object) -> Faults:
    if new.get("endpoints") != old.get("endpoints"):
        yield from _slice_endpoints(new)
    yield from checks.unchanged("addressType", new.get("addressType"), old.get("addressType"))


# --- addresses of services


def _ip_address(obj: Object) -> Faults:
    parent, path = (obj.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        yield required(path)
        return
    if parent.get("group"):
        yield from checks.dns_subdomain(f"{path}.group", parent["group"])
    for member in ("resource", "name", "namespace"):
        text = parent.get(member) or ""
        if not text and member != "namespace":
            yield required(f"{path}.{member}")
        for fault in path_segment_faults(text):
            yield invalid(f"{path}.{member}", text, fault)


def _ip_address_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("spec.parentRef", new["spec"].get("parentRef"), old["spec"].get("parentRef"))


def _service_cidr(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    cidrs = spec.get("cidrs") or ()
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
    elif len(cidrs) > 2:
        yield invalid("spec.cidrs", spec, "may only hold up to 2 values")
    else:
        faults = [fault for place, text in enumerate(cidrs) for fault in _cidr(f"spec.cidrs[{place}]", text)]
        yield from faults
        if not faults and len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1]):
            text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            yield invalid("spec.cidrs", cidrs, text)


def _cidr(path: str, text: str) -> Faults:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        found = None
    if found is None or "/" not in text:
        yield invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
    elif str(ip_interface(text).ip) != str(found.network_address):
        yield invalid(path, text, "must not have bits set beyond the prefix length")
    elif str(found) != text:
        yield invalid(path, text, f'must be in canonical form ("{found}")')


def _service_cidr_update(new: Object, old: Object) -> Faults:
    cidrs, before = new["spec"].get("cidrs") or [], old["spec"].get("cidrs") or []
    if len(cidrs) not in (len(before), 2) or len(cidrs) < len(before):
        yield invalid("spec.cidrs", cidrs, "field is immutable")
        return
    for place, text in enumerate(before):
        if cidrs[place] != text:
            yield invalid(f"spec.cidrs[{place}]", cidrs[place], "field is immutable")
    if len(cidrs) > len(before):  # a second family is added
        yield from _service_cidr(new)


ROWS = {
    (GROUP, "IPAddress"): Rules(validate=(_ip_address,), validate_update=(_ip_address_update,)),
    (GROUP, "ServiceCIDR"): Rules(validate_create=(_service_cidr,), validate_update=(_service_cidr_update,)),
    (GROUP, "Ingress"): Rules(
        validate_create=(_ingress_create,),
        validate_update=(lambda new, old: _ingress(new),),
        validate_subresource={"status": (_ingress_status,)},
        generation=True,
        create_warnings=ingress_warnings,
    ),
    (GROUP, "IngressClass"): Rules(
        default=(_default_class,), validate=(_class,), validate_update=(_class_update,), generation=True
    ),
    (GROUP, "NetworkPolicy"): Rules(
        default=(_default_policy,),
        validate=(_policy,),
        generation=True,
        counts_empties="spec",
        warnings=policy_warnings,
    ),
    ("", "Endpoints"): Rules(default=(_default_endpoints,), validate=(_endpoints,), warnings=endpoints_warnings),
    ("discovery.k8s.io", "EndpointSlice"): Rules(
        default=(_default_slice,),
        validate=(_slice,),
        validate_create=(_slice_endpoints,),
        validate_update=(_slice_update,),
        generation=True,
        disabled=_drop_topology,
        create_warnings=type_warnings,
        warnings=slice_warnings,
    ),
}
