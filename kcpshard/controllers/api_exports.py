"""APIExports: an identity, a status, and where the view over all that bind them is."""

import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from kcpshard.api.errors import AlreadyExists
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_naming import set_condition
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.durability import durable
from kcpshard.tenancy import exports
from kcpshard.tenancy.exports import (
    APIS,
    EXPORTS,
    OLD_VERSION,
    SECRET_KEY,
    SECRET_NAMESPACE,
    SLICES,
    VERSION,
    ExportReference,
)
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import put_of

CONTROLLER = "apiexport-controller"
_SECRETS, _NAMESPACES = "secrets", "namespaces"


class ApiExports:
    """Keys are ("export", name) and ("slice", name)."""

    name = CONTROLLER

    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store
        self._client = SystemClient(shard, CONTROLLER)

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == EXPORTS:
            return () if change.type is EventType.DELETED else (("export", change.name),)
        if change.group_resource == SLICES:
            return () if change.type is EventType.DELETED else (("slice", change.name),)
        if change.group_resource == _SECRETS and change.namespace == SECRET_NAMESPACE:
            return (("export", change.name),)  # what it is called unless an export says otherwise
        return ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        kind, name = key
        if kind == "slice":
            await self._reconcile_slice(cluster, name)
            return 0
        export = self._pending(cluster, EXPORTS, "", name)
        if export is None or export["metadata"].get("deletionTimestamp"):
            return 0
        reference = ((export.get("spec") or {}).get("identity") or {}).get("secretRef")
        if not reference:
            await self._give_identity(cluster, export)
            return 0
        secret = self._pending(cluster, _SECRETS, reference.get("namespace") or "", reference.get("name") or "")
        url = exports.view_url(self._shard.url, ExportReference(cluster.path, name))
        status = exports.export_status(export, secret, url, timestamp(self._shard.now_us()))
        if status != export.get("status"):
            await self._write(cluster, self._type(cluster, "apiexports", VERSION), {**export, "status": status})
        await self._give_slice(cluster, name)
        return 0 if secret is not None else 5.0

    async def _give_identity(self, cluster: LogicalCluster, export: Object) -> None:
        name = export["metadata"]["name"]
        if self._pending(cluster, _NAMESPACES, "", SECRET_NAMESPACE) is None:
            await self._create(cluster, _NAMESPACES, "", {"metadata": {"name": SECRET_NAMESPACE}})
        if self._pending(cluster, _SECRETS, SECRET_NAMESPACE, name) is None:
            key = base64.b64encode(os.urandom(32).hex().encode()).decode()
            secret = {"metadata": {"name": name, "namespace": SECRET_NAMESPACE}, "data": {SECRET_KEY: key}}
            await self._create(cluster, _SECRETS, SECRET_NAMESPACE, secret)
        newest = self._pending(cluster, EXPORTS, "", name)
        if newest is None or (newest.get("spec") or {}).get("identity"):
            return
        identity = {"secretRef": {"namespace": SECRET_NAMESPACE, "name": name}}
        new = {**newest, "spec": {**(newest.get("spec") or {}), "identity": identity}}
        await self._write(cluster, self._type(cluster, "apiexports", VERSION), new)

    async def _give_slice(self, cluster: LogicalCluster, name: str) -> None:
        """One of the export's own name, unless somebody has made it."""
        if self._pending(cluster, SLICES, "", name) is not None:
            return
        resource = self._type(cluster, "apiexportendpointslices", OLD_VERSION)
        slice_ = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": {"export": {"path": cluster.path, "name": name}},
        }
        with suppress(AlreadyExists):
            await self._client.create(cluster, resource, "", slice_)

    async def _reconcile_slice(self, cluster: LogicalCluster, name: str) -> None:
        found = self._pending(cluster, SLICES, "", name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return
        reference = (found.get("spec") or {}).get("export") or {}
        export = ExportReference(reference.get("path") or cluster.path, reference.get("name") or "")
        status: Object = dict(found.get("status") or {})
        conditions = [dict(each) for each in status.get("conditions") or ()]
        now = timestamp(self._shard.now_us())
        for type_ in (exports.ENDPOINTS_READY, "APIExportValid"):
            set_condition(conditions, type_, "True", "", "", now)
        status["endpoints"] = [{"url": exports.view_url(self._shard.url, export)}]
        status["conditions"] = exports.without_empty(conditions)
        if status != found.get("status"):
            resource = self._type(cluster, "apiexportendpointslices", OLD_VERSION)
            await self._write(cluster, resource, {**found, "status": status})

    # --- reading and writing

    def _pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> Object | None:
        value = self._store.pending(cluster, group_resource, namespace, name)
        return None if value is None else orjson.loads(envelope.body(value))

    async def _create(self, cluster: LogicalCluster, plural: str, namespace: str, obj: Mapping[str, Any]) -> None:
        resource = self._shard.catalog.find(cluster, "", "v1", plural)
        assert resource is not None, "always served"
        with suppress(AlreadyExists):
            await self._client.create(cluster, resource, namespace, {"apiVersion": "v1", "kind": resource.kind, **obj})

    async def _write(self, cluster: LogicalCluster, resource: Resource, obj: Object) -> None:
        """In the turn in which the object was read."""
        await durable(self._store.commit(cluster, (put_of(resource, obj, ""),)).group)

    def _type(self, cluster: LogicalCluster, plural: str, version: str) -> Resource:
        found = self._shard.catalog.find(cluster, APIS, version, plural)
        assert found is not None, "always served"
        return found
