"""What a logical cluster of the full set holds from its first moment, as kube-apiserver puts it into an empty cluster.

The Service `kubernetes` with its address, the range that addresses come from, priority classes, flow schemas and
priority levels. They are part of the birth's batch. `controllers.birth_contents` restores what must be there.
"""

import ipaddress
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

from kcpshard.admission.service_ranges import DEFAULT_CIDR, DEFAULT_RANGE, KUBERNETES, address_object
from kcpshard.api.objects import Object, timestamp
from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import Put
from kcpshard.storage.envelope import encode_object

# kube-node-lease is where nodes say that they are alive; only the full set has nodes.
NAMESPACE = "kube-node-lease"
_PORT = 6443  # of the fronts, where it is not told
# What kube-apiserver itself would miss, by group resource: it restores these.
_KEPT = {
    "services": ("kubernetes",),
    "endpoints": ("kubernetes",),
    "endpointslices.discovery.k8s.io": ("kubernetes",),
    "servicecidrs.networking.k8s.io": (DEFAULT_CIDR,),
    "ipaddresses.networking.k8s.io": (KUBERNETES,),
    "priorityclasses.scheduling.k8s.io": ("system-cluster-critical", "system-node-critical"),
    "flowschemas.flowcontrol.apiserver.k8s.io": ("catch-all", "exempt"),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": ("catch-all", "exempt"),
}


class Birth(NamedTuple):
    """One object, but for uid and times."""

    resource: Resource
    namespace: str
    obj: Object

    @property
    def is_kept(self) -> bool:
        return self.obj["metadata"]["name"] in _KEPT.get(self.resource.group_resource, ())

    def put(self, now_us: int) -> Put:
        now, uid, strategy = timestamp(now_us), str(uuid.uuid4()), self.resource.strategy
        meta = {**self.obj["metadata"], "uid": uid, "creationTimestamp": now}
        if self.namespace:
            meta["namespace"] = self.namespace
        obj = {**self.obj, "metadata": meta}
        if conditions := (self.obj.get("status") or {}).get("conditions"):
            obj["status"] = {**self.obj["status"], "conditions": [{**c, "lastTransitionTime": now} for c in conditions]}
        json, hole, annotations = encode_object(obj)
        name, labels, fields = meta["name"], meta.get("labels") or {}, strategy.selectable_fields(obj)
        stored = self.resource.group_resource
        return Put(
            stored, self.namespace, name, json, hole, annotations, uid, self.resource.api_version, labels, fields
        )


class BirthContents:
    """What is born with a logical cluster; nothing where only the minimal set is served."""

    def __init__(self, resources: Sequence[Resource] = (), endpoint: str = "") -> None:
        """`endpoint` is the address and port by which clients inside reach this installation; "" if nobody has told."""
        types = {(r.api_version, r.kind): r for r in resources}
        objects = [*_addresses(endpoint), *_recorded()] if types else []
        self.births = [Birth(types[o["apiVersion"], o["kind"]], _place(o), o) for o in objects]
        self.namespaces = (NAMESPACE,) if types else ()
        self.kept = {
            (b.resource.group_resource, b.namespace, b.obj["metadata"]["name"]): b for b in self.births if b.is_kept
        }

    def puts(self, now_us: int) -> list[Put]:
        return [birth.put(now_us) for birth in self.births]


def _place(obj: Object) -> str:
    return "default" if obj["kind"] in ("Service", "Endpoints", "EndpointSlice") else ""


@cache
def _recorded() -> list[Object]:
    lines = (Path(facts.__file__).parent / "data" / "birth.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def _addresses(endpoint: str) -> list[Object]:
    host, _, port = endpoint.rpartition(":")
    number = int(port or _PORT)
    found = [_service(number), _range(), address_object(KUBERNETES, "default", "kubernetes")]
    if host:
        found += [_endpoints(host.strip("[]"), number), _endpoint_slice(host.strip("[]"), number)]
    return found


def _service(port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
            "clusterIP": KUBERNETES,
            "clusterIPs": [KUBERNETES],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def _range() -> Object:
    message = "Kubernetes default Service CIDR is ready"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": DEFAULT_CIDR},
        "spec": {"cidrs": [str(DEFAULT_RANGE)]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": message}]},
    }


def _endpoints(host: str, port: int) -> Object:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": host}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
    meta = {"name": "kubernetes", "labels": labels}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}


def _endpoint_slice(host: str, port: int) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": f"IPv{ipaddress.ip_address(host).version}",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": port}],
    }
