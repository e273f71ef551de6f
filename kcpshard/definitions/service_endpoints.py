"""Where a Service of a logical cluster is: for calls out of the shard that name one instead of a URL.

Read from what the tenant has stored, so whatever comes back is the tenant's word: `callouts` judges the addresses.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from kcpshard.callouts.calls import Endpoint
from kcpshard.callouts.errors import Unreachable
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore

SLICES = "endpointslices.discovery.k8s.io"
_OF_SERVICE = "kubernetes.io/service-name"
_LOOKED_AT = 5000  # slices of a namespace; those of one Service are decoded


class ServiceEndpoints:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def addresses(self, cluster_id: int, namespace: str, name: str, port: int) -> Sequence[Endpoint]:
        """At least one, in no order. Raises Unreachable with kube-apiserver's sentence."""
        cluster = self._store.cluster_by_id(cluster_id)
        stored = self._store.pending(cluster, "services", namespace, name) if cluster is not None else None
        if cluster is None or stored is None:
            raise Unreachable(f'service "{name}" not found')
        spec = orjson.loads(envelope.body(stored)).get("spec") or {}
        if spec.get("type") == "ExternalName":
            return [Endpoint(spec.get("externalName", ""), port)]
        found = next((entry for entry in spec.get("ports") or () if entry.get("port") == port), None)
        if found is None:
            raise Unreachable(f'no service port {port} found for service "{name}"')
        port_name = found.get("name") or ""
        slices = list(self._slices(cluster, namespace, name))
        ready = (
            [*_in_slices(slices, port_name)] if slices else [*self._in_endpoints(cluster, namespace, name, port_name)]
        )
        if not ready:
            raise Unreachable(f'no endpoints available for service "{name}"')
        random.shuffle(ready)
        return ready

    def fault(self, cluster: LogicalCluster, namespace: str, name: str, port: int) -> tuple[str, str] | None:
        """Why the Service cannot be an API server, reason and message as kube-apiserver has them; None if it can."""
        stored, shown = self._store.pending(cluster, "services", namespace, name), f'service/{name} in "{namespace}"'
        if stored is None:
            return "ServiceNotFound", f"{shown} is not present"
        spec = orjson.loads(envelope.body(stored)).get("spec") or {}
        if spec.get("type", "ClusterIP") != "ClusterIP":
            return None
        found = next((entry for entry in spec.get("ports") or () if entry.get("port") == port), None)
        if found is None:
            return "ServicePortError", f"{shown} is not listening on port {port}"
        port_name = found.get("name") or ""
        slices = list(self._slices(cluster, namespace, name))
        if any(_in_slices(slices, port_name)) or any(self._in_endpoints(cluster, namespace, name, port_name)):
            return None
        if not slices:
            return "EndpointsNotFound", f"cannot find endpointslices for {shown}"
        return "MissingEndpoints", f'endpointslices for {shown} have no addresses with port name "{port_name}"'

    def _slices(self, cluster: LogicalCluster, namespace: str, name: str) -> Iterator[dict[str, Any]]:
        for value in self._store.scan_pending(cluster, SLICES, namespace, _LOOKED_AT):
            if envelope.labels(value).get(_OF_SERVICE) == name:
                yield orjson.loads(envelope.body(value))

    def _in_endpoints(self, cluster: LogicalCluster, namespace: str, name: str, port: str) -> Iterator[Endpoint]:
        stored = self._store.pending(cluster, "endpoints", namespace, name)
        for subset in (orjson.loads(envelope.body(stored)).get("subsets") or ()) if stored is not None else ():
            for entry in subset.get("ports") or ():
                if (entry.get("name") or "") == port:
                    yield from (Endpoint(address["ip"], entry["port"]) for address in subset.get("addresses") or ())


def _in_slices(slices: Sequence[dict[str, Any]], port: str) -> Iterator[Endpoint]:
    for found in slices:
        numbers = [p["port"] for p in found.get("ports") or () if (p.get("name") or "") == port and p.get("port")]
        for endpoint in found.get("endpoints") or () if numbers else ():
            if (endpoint.get("conditions") or {}).get("ready") is not False and endpoint.get("addresses"):
                yield Endpoint(endpoint["addresses"][0], numbers[0])
