# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Addresses and ports of Services: given, chosen, kept, released; and the IPAddress objects that say so.

What the allocator chooses is masked; that it chose, and for whom, is compared.
"""

from collections.abc import Iterator
from typing import Any

from tests.differential.exchanges import MERGE, Exchange

URL = "/api/v1/namespaces/{ns}/services"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
PORT = {"port": 80}


def services() -> list[Exchange]:
    rows = [*_created(), *_changed(), *_addresses()]
    return [row._replace(id=row.id and f"{place}: {row.id}") for place, row in enumerate(rows)]


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [PORT], **spec}}


def _created() -> Iterator[Exchange]:
    both = [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t"}]
    for id_, spec in {
        "plain": {}, "given": {"clusterIP": "10.96.77.7"}, "outside": {"clusterIP": "192.168.1.1"}, "of kubernetes": {"clusterIP": "10.96.0.1"}, "network": {"clusterIP": "10.96.0.0"}, "broadcast": {"clusterIP": "10.96.255.255"}, "v6": {"clusterIP": "fd00::1"}, "no address": {"clusterIP": "x"},
        "headless": {"clusterIP": "None"}, "headless without selector": {"clusterIP": "None", "ports": None}, "headless by list": {"clusterIPs": ["None"]}, "two": {"clusterIPs": ["10.96.1.1", "10.96.1.2"]}, "unequal": {"clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.2"]}, "list only": {"clusterIPs": ["10.96.1.3"]},
        "external name": {"type": "ExternalName", "externalName": "example.org"}, "external name with address": {"type": "ExternalName", "externalName": "example.org", "clusterIP": "10.96.1.1"}, "single": {"ipFamilyPolicy": "SingleStack"}, "prefer dual": {"ipFamilyPolicy": "PreferDualStack"}, "require dual": {"ipFamilyPolicy": "RequireDualStack"},
        "family v6": {"ipFamilies": ["IPv6"]}, "families": {"ipFamilies": ["IPv4", "IPv6"]}, "headless dual": {"clusterIP": "None", "ipFamilyPolicy": "RequireDualStack"}, "headless with selector prefer dual": {"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack", "selector": {"a": "b"}}, "headless v6": {"clusterIP": "None", "ipFamilies": ["IPv6"]},
        "node port": {"type": "NodePort"}, "node port given": {"type": "NodePort", "ports": [{**PORT, "nodePort": 31234}]}, "node port outside": {"type": "NodePort", "ports": [{**PORT, "nodePort": 80}]}, "node port of cluster ip": {"ports": [{**PORT, "nodePort": 31235}]}, "same port twice": {"type": "NodePort", "ports": [{"port": 1, "name": "a", "nodePort": 31236}, {"port": 2, "name": "b", "nodePort": 31236}]},
        "same port, protocols": {"type": "NodePort", "ports": [{**p, "nodePort": 31237} for p in both]}, "protocols unset": {"type": "NodePort", "ports": both}, "load balancer": {"type": "LoadBalancer"}, "load balancer without ports": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, "local": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        "local given": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31240}, "health check of cluster": {"type": "LoadBalancer", "healthCheckNodePort": 31241}, "health check outside": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 99}, "local of cluster ip": {"externalTrafficPolicy": "Local"},
    }.items():  # fmt: skip
        yield Exchange(f"create {id_}", "POST", f"{URL}?dryRun=All", service("a", **spec))


def _changed() -> Iterator[Exchange]:
    def patched(id_: str, name: str, spec: Any) -> Exchange:
        return Exchange(f"{name} {id_}", "PATCH", f"{URL}/{name}", {"spec": spec}, MERGE)

    yield Exchange("made", "POST", URL, service("m", clusterIP="10.96.88.1"))
    yield Exchange("taken", "POST", URL, service("n", clusterIP="10.96.88.1"))
    yield patched("another address", "m", {"clusterIP": "10.96.88.2", "clusterIPs": ["10.96.88.2"]})
    yield patched("no address", "m", {"clusterIP": "", "clusterIPs": []})
    yield patched("headless", "m", {"clusterIP": "None", "clusterIPs": ["None"]})
    yield patched("node port", "m", {"type": "NodePort"})
    yield patched("another port", "m", {"ports": [{"port": 80, "nodePort": 31333}]})
    yield Exchange("port taken", "POST", URL, service("n", type="NodePort", ports=[{**PORT, "nodePort": 31333}]))
    yield patched("back", "m", {"type": "ClusterIP"})
    yield patched("back without port", "m", {"type": "ClusterIP", "ports": [PORT]})
    yield Exchange("port free again", "POST", URL, service("n", type="NodePort", ports=[{**PORT, "nodePort": 31333}]))
    yield patched(
        "load balancer", "n", {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31444}
    )
    yield patched("another health check", "n", {"healthCheckNodePort": 31445})
    yield patched("no longer local", "n", {"externalTrafficPolicy": "Cluster"})
    yield patched("external name", "n", {"type": "ExternalName", "externalName": "example.org"})
    yield patched(
        "external name without ports",
        "n",
        {"type": "ExternalName", "externalName": "example.org", "clusterIP": None, "clusterIPs": None, "ports": [PORT]},
    )
    yield patched("in again", "n", {"type": "ClusterIP", "externalName": None, "clusterIP": "10.96.88.9"})
    yield patched("prefers two", "n", {"ipFamilyPolicy": "PreferDualStack"})
    yield patched("requires two", "n", {"ipFamilyPolicy": "RequireDualStack"})


def _addresses() -> Iterator[Exchange]:
    yield Exchange("address of m", "GET", f"{ADDRESSES}/10.96.88.1")
    yield Exchange("address of n", "GET", f"{ADDRESSES}/10.96.88.9")
    yield Exchange(
        "out",
        "PATCH",
        f"{URL}/n",
        {
            "spec": {
                "type": "ExternalName",
                "externalName": "example.org",
                "clusterIP": None,
                "clusterIPs": None,
                "ipFamilies": None,
                "ipFamilyPolicy": None,
            }
        },
        MERGE,
    )
    yield Exchange("released", "GET", f"{ADDRESSES}/10.96.88.9")
    yield Exchange("delete", "DELETE", f"{URL}/m")
    yield Exchange("released by deletion", "GET", f"{ADDRESSES}/10.96.88.1")
    yield Exchange("free again", "POST", URL, service("o", clusterIP="10.96.88.1"))
    parent = {"group": "", "resource": "services", "namespace": "{ns}", "name": "x"}
    for id_, name, spec in (
        ("reserved", "10.96.88.50", {"parentRef": parent}),
        ("not canonical", "010.96.88.51", {"parentRef": parent}),
        ("no parent", "10.96.88.52", {}),
        ("no address", "abc", {"parentRef": parent}),
        ("nameless parent", "10.96.88.53", {"parentRef": {**parent, "name": ""}}),
    ):
        yield Exchange(f"address {id_}", "POST", ADDRESSES, {"metadata": {"name": name}, "spec": spec})
    yield Exchange("reserved address", "POST", URL, service("q", clusterIP="10.96.88.50"))
    yield Exchange("another parent", "PATCH", f"{ADDRESSES}/10.96.88.50", {"spec": {"parentRef": {"name": "y"}}}, MERGE)
    yield Exchange("free it", "DELETE", f"{ADDRESSES}/10.96.88.50")
    ranges = "/apis/networking.k8s.io/v1/servicecidrs"
    for id_, cidrs in (
        ("good", ["172.30.0.0/24"]),
        ("none", []),
        ("two of a family", ["172.30.0.0/24", "172.31.0.0/24"]),
        ("both families", ["172.30.0.0/24", "fd00::/112"]),
        ("not a network", ["x"]),
        ("host bits", ["172.30.0.7/24"]),
    ):
        yield Exchange(
            f"range {id_}", "POST", f"{ranges}?dryRun=All", {"metadata": {"name": "{ns}-r"}, "spec": {"cidrs": cidrs}}
        )
    yield Exchange(
        "the default range", "PATCH", f"{ranges}/kubernetes?dryRun=All", {"spec": {"cidrs": ["10.0.0.0/8"]}}, MERGE
    )
    for name in "no":  # addresses are the cluster's: whoever records again needs them
        yield Exchange("", "DELETE", f"{URL}/{name}")
