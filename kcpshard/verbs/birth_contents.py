"""What a logical cluster of the full set holds from its first moment, as kube-apiserver puts it into an empty cluster.

The Service `kubernetes` with its address and the range that addresses come from are part of the birth's batch. Priority
classes, flow schemas and priority levels are shown by every logical cluster and held by none (storage.template).
`controllers.birth_contents` restores what must be there.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path

import orjson

from kcpshard.admission.service_ranges import DEFAULT_CIDR, DEFAULT_RANGE, KUBERNETES, address_object
from kcpshard.api.objects import Object, timestamp
from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import Put
from kcpshard.verbs.stencils import TIME, Stencil, random_uid

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


class Birth:
    """One object, but for uid and times."""

    def __init__(self, resource: Resource, namespace: str, obj: Object) -> None:
        self.resource, self.namespace, self.obj = resource, namespace, obj

    @property
    def group_resource(self) -> str:
        return self.resource.group_resource

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def is_kept(self) -> bool:
        return self.name in _KEPT.get(self.group_resource, ())

    @cached_property
    def document(self) -> Object:
        """With TIME where the time belongs, without uid."""
        obj = self.obj
        if self.namespace:
            obj = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
        if conditions := (obj.get("status") or {}).get("conditions"):
            times = [{**c, "lastTransitionTime": TIME} for c in conditions]
            obj = {**obj, "status": {**obj["status"], "conditions": times}}
        return obj

    @cached_property
    def _stencil(self) -> Stencil:
        fields = self.resource.strategy.selectable_fields(self.document)
        return Stencil(self.group_resource, self.document, fields)

    def put(self, now_us: int) -> Put:
        return self._stencil.put(random_uid(), timestamp(now_us))


class BirthContents:
    """What is born with a logical cluster; nothing where only the minimal set is served."""

    def __init__(self, resources: Sequence[Resource] = (), endpoint: str = "") -> None:
        """`endpoint` is the address and port by which clients inside reach this installation; "" if nobody has told."""
        self.births = _of_served(resources, _addresses(endpoint)) if resources else []
        self.namespaces = (NAMESPACE,) if resources else ()
        everything = [*self.births, *shown_objects(resources)]
        self.kept = {(b.group_resource, b.namespace, b.name): b for b in everything if b.is_kept}

    def puts(self, now_us: int) -> list[Put]:
        return [birth.put(now_us) for birth in self.births]


def shown_objects(resources: Iterable[Resource]) -> list[Birth]:
    """What is the same in every logical cluster, of the types that are served: for the store's template."""
    return _of_served(resources, _recorded())


def _of_served(resources: Iterable[Resource], objects: Iterable[Object]) -> list[Birth]:
    types = {(r.api_version, r.kind): r for r in resources}
    return [
        Birth(resource, _place(obj), obj)
        for obj in objects
        if (resource := types.get((obj["apiVersion"], obj["kind"]))) is not None
    ]


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
