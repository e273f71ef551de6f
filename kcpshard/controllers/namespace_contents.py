"""Restores what every namespace holds (`verbs.namespace_contents`): created if it is missing, made right if it differs.

Two controllers under the names of those in kube-controller-manager, so that either can be left to that one: it would
put another authority's certificate into `kube-root-ca.crt`, and the two would undo each other's writes for ever.
"""

from contextlib import suppress

import orjson

from kcpshard.api.errors import AlreadyExists
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs import namespace_contents as contents
from kcpshard.verbs.shard import Shard

NAMESPACES = "namespaces"


class NamespaceContent:
    """Keeps one object in every namespace. `content` are the members that must be as they are in `wanted`."""

    def __init__(
        self, shard: Shard, name: str, account: str, group_resource: str, wanted: Object, content: tuple[str, ...]
    ) -> None:
        self.name = name
        self._shard, self._client = shard, SystemClient(shard, account)
        self._group_resource, self._wanted, self._content = group_resource, wanted, content
        self._object_name: str = wanted["metadata"]["name"]

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == NAMESPACES:
            return () if change.type is EventType.DELETED else ((change.name,),)
        if change.name != self._object_name or change.group_resource != self._group_resource:
            return ()
        return ((change.namespace,),) if change.previous is not None else ()

    async def reconcile(self, cluster: LogicalCluster, key: tuple[str, ...]) -> float:
        namespace = key[0]
        store = self._shard.store
        value = store.pending(cluster, self._group_resource, namespace, self._object_name)
        if value is None:
            if is_active(store.pending(cluster, NAMESPACES, "", namespace)):
                await self._create(cluster, namespace)
        elif self._content:
            await self._repair(cluster, orjson.loads(envelope.body(value)))
        return 0

    async def _create(self, cluster: LogicalCluster, namespace: str) -> None:
        with suppress(AlreadyExists):  # somebody else was faster; that creation is another change
            await self._client.create(cluster, self._resource(cluster), namespace, self._wanted)

    async def _repair(self, cluster: LogicalCluster, obj: Object) -> None:
        if obj["metadata"].get("deletionTimestamp"):
            return
        if any(obj.get(member) != self._wanted.get(member) for member in self._content):
            await self._client.update(cluster, self._resource(cluster), {**obj, **self._parts()})

    def _parts(self) -> Object:
        return {member: self._wanted[member] for member in self._content}

    def _resource(self, cluster: LogicalCluster) -> Resource:
        found = self._shard.catalog.find(cluster, "", "v1", self._group_resource)
        assert found is not None, "core types are always served"
        return found


def is_active(namespace: bytes | None) -> bool:
    return namespace is not None and envelope.fields(namespace).get("status.phase") != "Terminating"


def service_accounts(shard: Shard) -> NamespaceContent:
    """Names the account `default` only: what else is in it belongs to others."""
    name, account = "serviceaccount-controller", "service-account-controller"
    return NamespaceContent(shard, name, account, contents.SERVICE_ACCOUNTS, contents.service_account(), ())


def root_certificates(shard: Shard) -> NamespaceContent:
    name, account = "root-ca-certificate-publisher-controller", "root-ca-cert-publisher"
    wanted = contents.root_certificate(shard.contents.root_certificate)
    return NamespaceContent(shard, name, account, contents.CONFIG_MAPS, wanted, ("data",))
