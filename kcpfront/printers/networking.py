"""Printers of Services and what leads to them."""

from collections.abc import Iterator, Mapping
from typing import Any

from kcpfront.printers.cells import (
    NONE,
    SELECTOR,
    UNSET,
    first_few,
    labels,
    named,
    printer,
    selector,
    spec_of,
    status_of,
)
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age_of, name_of

_MOST = 3
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


@printer(
    NAME,
    Column("Type", description="How the Service is reached."),
    Column("Cluster-IP", description="Its address inside the cluster."),
    Column("External-IP", description="Its addresses outside."),
    Column("Port(s)", description="Its ports, and those of the nodes."),
    AGE,
    SELECTOR,
)
def _service(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    address = (spec.get("clusterIPs") or [NONE])[0]
    ports = ",".join(_port(port) for port in spec.get("ports") or ()) or NONE
    kind = spec.get("type", "")
    return [name_of(obj), kind, address, _external(obj), ports, age_of(obj, now), labels(spec.get("selector"))]


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node}/{port.get('protocol', '')}"


def _external(obj: Object) -> str:
    spec = spec_of(obj)
    outside = ",".join(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return outside or NONE
        case "LoadBalancer":
            given = _balanced(obj)
            return ",".join(part for part in (given, outside) if part) or "<pending>"
        case "ExternalName":
            name: str = spec.get("externalName", "")
            return name
    return "<unknown>"


def _balanced(obj: Object) -> str:
    entries = (status_of(obj).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(sorted({e.get("ip") or e.get("hostname") or "" for e in entries} - {""}))


@named(Column("Endpoints", description="Addresses behind the Service."))
def _endpoints(obj: Object, now: float) -> list[Any]:
    shown = first_few(_addresses(obj), _MOST) if obj.get("subsets") else NONE
    return [name_of(obj), shown, age_of(obj, now)]


def _addresses(obj: Object) -> Iterator[str]:
    for subset in obj.get("subsets") or ():
        found = [address.get("ip", "") for address in subset.get("addresses") or ()]
        if not subset.get("ports"):
            yield from found
        for port in subset.get("ports") or ():
            yield from (f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port.get('port', 0)}" for ip in found)


@named(
    Column("AddressType", description="What kind of addresses these are."),
    Column("Ports", description="Ports of each of them."),
    Column("Endpoints", description="The addresses."),
)
def _endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(p.get("port") if p.get("port") is not None else p.get("name") or "*") for p in obj.get("ports") or ()]
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    shown = [first_few(ports, _MOST) or UNSET, first_few(found, _MOST) or UNSET]
    return [name_of(obj), obj.get("addressType", ""), *shown, age_of(obj, now)]


@named(
    Column("Class", description="Whose business the Ingress is."),
    Column("Hosts", description="Names it is for."),
    Column("Address", description="Where it is reached."),
    Column("Ports", description="Its ports."),
)
def _ingress(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    ports = "80, 443" if spec.get("tls") else "80"
    return [name_of(obj), spec.get("ingressClassName") or NONE, _hosts(spec), _balanced(obj), ports, age_of(obj, now)]


def _hosts(spec: Object) -> str:
    rules = spec.get("rules") or []
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    if not hosts:
        return "*"
    shown = ",".join(hosts[:_MOST])
    return f"{shown} + {len(rules) - _MOST} more..." if len(hosts) >= _MOST and len(rules) > _MOST else shown


@named(
    Column("Controller", description="Who implements the class."),
    Column("Parameters", description="Where it is configured."),
)
def _ingress_class(obj: Object, now: float) -> list[Any]:
    spec, name = spec_of(obj), name_of(obj)
    if (obj["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
        name += " (default)"
    given, shown = spec.get("parameters"), NONE
    if given:
        group = f".{given['apiGroup']}" if given.get("apiGroup") is not None else ""
        shown = f"{given.get('kind', '')}{group}/{given.get('name', '')}"
    return [name, spec.get("controller", ""), shown, age_of(obj, now)]


@named(Column("Pod-Selector", description="Pods it is about."))
def _network_policy(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), selector(spec_of(obj).get("podSelector") or {}), age_of(obj, now)]


@printer(NAME, Column("ParentRef", description="What the address belongs to."))
def _ip_address(obj: Object, now: float) -> list[Any]:
    parent = spec_of(obj).get("parentRef")
    shown = NONE
    if parent:
        group = f".{parent['group']}" if parent.get("group") else ""
        place = [parent.get("resource", "").lower() + group.lower(), parent.get("namespace"), parent.get("name", "")]
        shown = "/".join(part for part in place if part is not None and part != "")
    return [name_of(obj), shown, age_of(obj, now)]  # kube-apiserver gives the age too, without a column


@named(Column("CIDRs", description="The ranges."))
def _service_cidr(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), ",".join(spec_of(obj).get("cidrs") or ()), age_of(obj, now)]


PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "endpoints"): _endpoints,
    ("", "services"): _service,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("networking.k8s.io", "ingressclasses"): _ingress_class,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "ipaddresses"): _ip_address,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("networking.k8s.io", "servicecidrs"): _service_cidr,
}
