"""Service. Its addresses and node ports come from the allocator (`admission/service_addresses`) before validation."""

from collections.abc import Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.strategies import Rules, keep

Faults = Iterator[FieldError]
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_ALLOCATED = ("ClusterIP", "LoadBalancer", "NodePort")
_AFFINITY_S = 10_800
_MAX_AFFINITY_S = 86_400


def _default(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_S}}
    for port in spec.get("ports") or ():
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if is_external(spec):
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] in _ALLOCATED:
        fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
        for entry in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if entry.get("ip"):
                fill(entry, ipMode="VIP")


def is_external(spec: Object) -> bool:
    return spec.get("type") in ("LoadBalancer", "NodePort") or (
        spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def is_headless(spec: Object) -> bool:
    return bool((spec.get("clusterIPs") or []) == ["None"])


def _prepare_create(obj: Object) -> None:
    spec = obj["spec"]
    obj["status"] = {"loadBalancer": {}}
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _prepare_update(new: Object, old: Object) -> None:
    """What a client does not send of what was allocated stays; what the new type has no use for goes."""
    keep(new, old, "status")
    spec, before = new["spec"], old["spec"]
    if spec.get("type") in _ALLOCATED and before.get("type") in _ALLOCATED:
        for member in ("clusterIP", "clusterIPs"):
            if not spec.get(member):
                keep(spec, before, member)
    _align_addresses(spec, before)
    if _needs_node_port(spec) and _needs_node_port(before):
        _keep_node_ports(spec.get("ports") or (), before.get("ports") or ())
    if _needs_health_check(spec) and _needs_health_check(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)
    _drop_unneeded(spec, before)


def _align_addresses(spec: Object, before: Object) -> None:
    """Let `clusterIPs` follow where a client that does not know of it has changed `clusterIP`."""
    one, was = spec.get("clusterIP", ""), before.get("clusterIP", "")
    several, were = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if were and not several and one == was:
        spec["clusterIPs"] = several = were
    if one != was and several == were:
        spec["clusterIPs"] = [one] if one else []


def _keep_node_ports(ports: Sequence[Object], before: Sequence[Object]) -> None:
    """By the names of the ports, unless another port has the number."""
    used = {port.get("nodePort") for port in before} & {port.get("nodePort") for port in ports}
    known = {port.get("name", ""): port.get("nodePort") for port in before}
    for port in ports:
        number = known.get(port.get("name", ""))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number


def _needs_node_port(spec: Object) -> bool:
    return spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )


def _needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop_unneeded(spec: Object, before: Object) -> None:
    if before.get("type") in _ALLOCATED and spec.get("type") == "ExternalName":
        for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if spec.get(member) == before.get(member):
                spec.pop(member, None)
    if _needs_node_port(before) and not _needs_node_port(spec):
        ports = [port.get("nodePort") for port in before.get("ports") or ()]
        for place, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort") in ports[place : place + 1]:
                port.pop("nodePort", None)
    if is_external(before) and not is_external(spec):
        spec.pop("externalTrafficPolicy", None)
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        for member in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(member) == before.get(member):
                spec.pop(member, None)
    if not _needs_health_check(spec) and spec.get("healthCheckNodePort") == before.get("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)


def _service(obj: Object) -> Faults:
    spec, ports = obj["spec"], obj["spec"].get("ports") or []
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    yield from _topology_faults(annotations)
    if not ports and not is_headless(spec) and spec["type"] != "ExternalName":
        yield required("spec.ports")
    yield from _type_faults(spec)
    names: set[str] = set()
    for place, port in enumerate(ports):
        yield from _port_faults(port, f"spec.ports[{place}]", len(ports) > 1, names)
    yield from checks.labels("spec.selector", spec.get("selector"))
    yield from checks.one_supported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _MAX_AFFINITY_S:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            yield invalid(path, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_S}")
    for place, address in enumerate(spec.get("externalIPs") or ()):
        faults = list(checks.address(f"spec.externalIPs[{place}]", address))
        yield from faults or checks.outside_address(f"spec.externalIPs[{place}]", address)
    yield from checks.one_supported("spec.type", spec["type"], _TYPES)
    yield from _port_twice(spec, ports)
    yield from _balancer_faults(spec, annotations)
    yield from _traffic_faults(spec)


_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def _topology_faults(annotations: Mapping[str, str]) -> Faults:
    if _HINTS in annotations and _MODE in annotations and annotations[_HINTS] != annotations[_MODE]:
        text = f"must match annotations[{_HINTS}] when both are specified"
        yield invalid(f"metadata.annotations[{_MODE}]", annotations[_MODE], text)


def _type_faults(spec: Object) -> Faults:
    if spec["type"] in ("LoadBalancer", "NodePort") and is_headless(spec):
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec['type']} services")
    if spec["type"] != "ExternalName":
        return
    for member in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(member):
            yield forbidden(f"spec.{member}", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if name:
        yield from checks.dns_subdomain("spec.externalName", name)
    else:
        yield required("spec.externalName")


def _port_faults(port: Object, path: str, requires_name: bool, names: set[str]) -> Faults:
    name = port.get("name", "")
    if name:
        yield from checks.dns_label(f"{path}.name", name)
        if name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)
    elif requires_name:
        yield required(f"{path}.name")
    yield from checks.port_number(f"{path}.port", port.get("port", 0))
    yield from checks.one_supported(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
    yield from checks.port_or_name(f"{path}.targetPort", port["targetPort"])
    if port.get("appProtocol") is not None:
        yield from checks.qualified_name(f"{path}.appProtocol", port["appProtocol"])


def _port_twice(spec: Object, ports: list[Object]) -> Faults:
    numbers: set[tuple[str, int]] = set()
    node_ports: set[tuple[str, int]] = set()
    for place, port in enumerate(ports):
        node_port = (port["protocol"], port.get("nodePort", 0))
        if spec["type"] == "ClusterIP" and node_port[1]:
            yield forbidden(f"spec.ports[{place}].nodePort", "may not be used when `type` is 'ClusterIP'")
        if node_port[1] and node_port in node_ports:
            yield duplicate(f"spec.ports[{place}].nodePort", node_port[1])
        node_ports.add(node_port)
        key = (port["protocol"], port.get("port", 0))
        if key in numbers:
            yield duplicate(f"spec.ports[{place}]", {"protocol": key[0], "port": key[1]})
        numbers.add(key)


def address_faults(spec: Object, known: Sequence[str] = ()) -> Faults:
    """What is wrong with addresses and families is told alone: without them nothing can be allocated. `known` are the
    addresses before, whose form is not judged again."""
    one, several = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    path = "spec.clusterIPs"
    if one and not several:
        yield required(path)
    elif one and several[0] != one:
        yield invalid(path, several, "first value must match `clusterIP`")
    elif several and not one:
        yield invalid(path, several, "must be empty when `clusterIP` is not specified")
    for place, family in enumerate(spec.get("ipFamilies") or ()):
        yield from checks.supported(f"spec.ipFamilies[{place}]", family, ("IPv4", "IPv6"))
    yield from checks.unique("spec.ipFamilies", spec.get("ipFamilies") or ())
    if (policy := spec.get("ipFamilyPolicy")) is not None:
        supported = ("PreferDualStack", "RequireDualStack", "SingleStack")
        yield from checks.supported("spec.ipFamilyPolicy", policy, supported)
    faults = list(_single_faults(several, path, known))
    yield from faults
    if len(several) > 2:
        yield invalid(path, several, "may only hold up to 2 values")
    if not faults:
        yield from _family_faults(spec, several, path)


def _single_faults(several: Sequence[str], path: str, known: Sequence[str]) -> Faults:
    for place, address in enumerate(several):
        if (place or address != "None") and address not in known:
            yield from checks.address(f"{path}[{place}]", address)
        elif not place and address == "None" and len(several) > 1:
            yield invalid(path, several, "'None' must be the first and only value")


def _family_faults(spec: Object, several: Sequence[str], path: str) -> Faults:
    if len(several) > 1 and len({":" in address for address in several}) == 1:
        yield invalid(path, several, "may specify no more than one IP for each IP family")
    if is_headless(spec):
        return
    for place, (address, family) in enumerate(zip(several, spec.get("ipFamilies") or (), strict=False)):
        if (":" in address) != (family == "IPv6"):
            text = f"expected an {family} value as indicated by `ipFamilies[{place}]`"
            yield invalid(f"{path}[{place}]", address, text)


def _balancer_faults(spec: Object, annotations: Mapping[str, str]) -> Faults:
    ranges, is_balancer = spec.get("loadBalancerSourceRanges") or (), spec["type"] == "LoadBalancer"
    if ranges and not is_balancer:
        yield forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
    for place, text in enumerate(ranges):
        yield from checks.network(f"spec.LoadBalancerSourceRanges[{place}]", text.strip())
    if not ranges and _RANGES in annotations:
        path = f"metadata.annotations[{_RANGES}]"
        if not is_balancer:
            yield forbidden(path, "may only be used when `type` is 'LoadBalancer'")
        given = annotations[_RANGES].strip()
        for text in given.split(",") if given else ():
            yield from checks.network(path, text.strip())
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_balancer:
        yield forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
    if (name := spec.get("loadBalancerClass")) is not None:
        if is_balancer:
            yield from checks.qualified_name("spec.loadBalancerClass", name)
        else:
            yield forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")


def _traffic_faults(spec: Object) -> Faults:
    policy, path = spec.get("externalTrafficPolicy", ""), "spec.externalTrafficPolicy"
    if not is_external(spec):
        if policy:
            yield invalid(path, policy, "may only be set for externally-accessible services")
    else:
        yield from checks.one_supported(path, policy, ("Cluster", "Local"))
    if _needs_health_check(spec):
        if not spec.get("healthCheckNodePort"):
            yield required("spec.healthCheckNodePort")
        else:
            yield from checks.port_number("spec.healthCheckNodePort", spec["healthCheckNodePort"])
    elif spec.get("healthCheckNodePort"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], text)
    if (policy := spec.get("internalTrafficPolicy")) is not None:
        yield from checks.supported("spec.internalTrafficPolicy", policy, ("Cluster", "Local"))
    if (wanted := spec.get("trafficDistribution")) is not None:
        supported = ("PreferClose", "PreferSameZone", "PreferSameNode")
        yield from checks.supported("spec.trafficDistribution", wanted, supported)


def _update(new: Object, old: Object) -> Faults:
    after, before = new["spec"], old["spec"]
    if "ExternalName" not in (after["type"], before.get("type")):
        if not (is_headless(after) and is_headless(before)):
            yield from _changed_address_faults(after, before)
        if not is_headless(after) and not is_headless(before):
            yield from _changed_family_faults(after, before)
    port, known = after.get("healthCheckNodePort", 0), before.get("healthCheckNodePort", 0)
    if port != known and _needs_health_check(after) and _needs_health_check(before):
        yield forbidden("spec.healthCheckNodePort", "field is immutable")
    if after["type"] == before.get("type") == "LoadBalancer":
        name = after.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            yield invalid("spec.loadBalancerClass", name, "may not change once set")


def _changed_address_faults(after: Object, before: Object) -> Faults:
    given, had = after.get("clusterIPs") or [], before.get("clusterIPs") or []
    changed = [place for place, (one, was) in enumerate(zip(given, had, strict=False)) if one != was]
    if had and not given:
        yield invalid("spec.clusterIPs[0]", given, "primary clusterIP can not be unset")
    for place in changed if len(given) == len(had) else [p for p in changed if p == 0]:
        yield invalid(f"spec.clusterIPs[{place}]", given, "may not change once set")
    if len(had) > len(given) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        yield invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), text)


def _changed_family_faults(after: Object, before: Object) -> Faults:
    given, had = after.get("ipFamilies") or [], before.get("ipFamilies") or []
    changed = [place for place, (one, was) in enumerate(zip(given, had, strict=False)) if one != was]
    if changed if len(given) == len(had) else 0 in changed:
        yield invalid("spec.ipFamilies[0]", given, "may not change once set")
    if len(had) > len(given) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        yield invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), text)


def _status(new: Object, old: Object) -> Faults:
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if ingress and new["spec"].get("type") != "LoadBalancer":
        yield forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
    for place, entry in enumerate(ingress):
        path = f"status.loadBalancer.ingress[{place}]"
        if entry.get("ip"):
            yield from checks.address(f"{path}.ip", entry["ip"])
        if entry.get("hostname"):
            yield from checks.dns_subdomain(f"{path}.hostname", entry["hostname"])


def _warnings(obj: Object) -> Iterator[str]:
    spec = obj["spec"]
    if is_headless(spec):
        if spec.get("externalIPs"):
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") == "ClientIP":
            yield "spec.SessionAffinity is ignored for headless services"
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


ROWS = {
    ("", "Service"): Rules(
        default=(_default,),
        prepare_create=(_prepare_create,),
        prepare_update={"": _prepare_update},
        validate=(_service,),
        validate_update=(_update,),
        validate_subresource={"status": (_status,)},
        warnings=_warnings,
        fields=(("spec.clusterIP", ("spec", "clusterIP")), ("spec.type", ("spec", "type"))),
    )
}
