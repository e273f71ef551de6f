"""Registers an APIService for each served version of a custom group, as kube-apiserver does, and takes it back.

Its own are known by the label automanaged=true: they are restored when they are changed or deleted. One without the
label is somebody else's: it stays, also where it sends a custom group version to another server. Those of what is built
in come back when they are deleted; a kube-apiserver does that at its next start, and a logical cluster has none.
"""

import orjson

from kcpshard.api.events import Change, EventType
from kcpshard.api.names import KUBERNETES_GROUPS
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.definitions.custom_catalog import summary_of
from kcpshard.definitions.local_api_services import API_SERVICES, local_api_services
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "crd-autoregistration-controller"
LABEL = "kube-aggregator.kubernetes.io/automanaged"
_ALWAYS = "true"
_SPEC = {"groupPriorityMinimum": 1000, "versionPriority": 100}
_NOTHING: Keys = ()
_SCANNED = 256


class ApiServiceRegistration:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._types = shard, ResourceTypes(shard.catalog)
        self._client = SystemClient(shard, "crd-autoregistration-controller")
        self._built_in = {
            each.name: {key: part for key, part in each.document.items() if key != "status"}
            for each in local_api_services(shard.catalog.resources(None))
        }

    def see(self, cluster_id: int, change: Change) -> Keys:
        """Keys are group and version."""
        if change.group_resource == CRDS:
            return tuple(dict.fromkeys((*_served(change.value), *_served(change.previous))))
        if change.group_resource == API_SERVICES:
            version, _, group = change.name.partition(".")
            if change.name in self._built_in:
                return ((group, version),) if change.type is EventType.DELETED else _NOTHING
            if group and group not in KUBERNETES_GROUPS:
                return ((group, version),)
        return _NOTHING

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        group, version = key
        name = f"{version}.{group}"
        resource = self._types.stored_as(cluster, API_SERVICES)
        if resource is None:
            return 0
        value = self._shard.store.pending(cluster, API_SERVICES, "", name)
        found: Object | None = orjson.loads(envelope.body(value)) if value is not None else None
        if name in self._built_in:
            if found is None:
                await self._client.create(cluster, resource, "", self._built_in[name])
            return 0
        wanted = {"group": group, "version": version, **_SPEC}
        is_ours = found is not None and (found["metadata"].get("labels") or {}).get(LABEL) == _ALWAYS
        if self._is_served(cluster, group, version):
            if found is None:
                meta = {"name": name, "labels": {LABEL: _ALWAYS}}
                document = {"apiVersion": resource.api_version, "kind": "APIService", "metadata": meta, "spec": wanted}
                await self._client.create(cluster, resource, "", document)
            elif is_ours and found["spec"] != wanted:
                await self._client.update(cluster, resource, {**found, "spec": wanted})
        elif found is not None and is_ours:
            uid = {"preconditions": {"uid": found["metadata"]["uid"]}}
            await self._client.delete(cluster, resource, "", name, uid)
        return 0

    def _is_served(self, cluster: LogicalCluster, group: str, version: str) -> bool:
        """By a definition as it is stored, which may not be durable yet."""
        after: tuple[str, str] | None = None
        while True:
            items = self._shard.store.scan_own(cluster, CRDS, after, _SCANNED)
            if any((group, version) in _served(item.value) for item in items):
                return True
            if len(items) < _SCANNED:
                return False
            after = (items[-1].namespace, items[-1].name)


def _served(value: bytes | None) -> Keys:
    """Of a stored definition; of one that the log has kept without its JSON nothing is known."""
    if not value:
        return _NOTHING
    found = summary_of(value)
    return tuple((found.group, version.name) for version in found.versions if version.served)
