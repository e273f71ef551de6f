"""Says in the status of FlowSchemas whether their priority level exists: condition Dangling, as kube-apiserver does."""

import asyncio
from collections.abc import AsyncIterator

import orjson

from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.system_client import SystemClient
from kcpshard.flowcontrol.flows import GROUP, LEVELS, SCHEMAS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "flowschema-status-controller"
_DANGLING = "Dangling"
_SCANNED = 64
_NOTHING: Keys = ()


class FlowSchemaStatus:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._client = shard, SystemClient(shard, NAME)

    def see(self, cluster_id: int, change: Change) -> Keys:
        """Keys are group resource and name. What a logical cluster is born with tells the truth already."""
        kind = change.group_resource
        if kind not in _KINDS or change.revision == cluster_id:
            return _NOTHING
        is_concerned = change.type is not (EventType.DELETED if kind == SCHEMAS else EventType.MODIFIED)
        return ((kind, change.name),) if is_concerned else _NOTHING

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        kind, name = key
        if kind == SCHEMAS:
            value = self._shard.store.pending(cluster, SCHEMAS, "", name)
            if value is not None:
                await self._tell(cluster, orjson.loads(envelope.body(value)))
            return 0
        async for schema in self._schemas(cluster):
            if _level_of(schema) == name:
                await self._tell(cluster, schema)
        return 0

    async def _schemas(self, cluster: LogicalCluster) -> AsyncIterator[Object]:
        store, after = self._shard.store, None
        while True:
            items = store.scan(cluster, SCHEMAS, "", store.durable_revision, after, _SCANNED)
            for item in items:
                yield orjson.loads(envelope.body(item.value))
            if len(items) < _SCANNED:
                return
            after = (items[-1].namespace, items[-1].name)
            await asyncio.sleep(0)

    async def _tell(self, cluster: LogicalCluster, schema: Object) -> None:
        level = _level_of(schema)
        conditions = (schema.get("status") or {}).get("conditions") or []
        wanted = condition(level, self._shard.store.pending(cluster, LEVELS, "", level) is not None)
        before: Object = next((each for each in conditions if each.get("type") == _DANGLING), {})
        if all(before.get(member) == value for member, value in wanted.items()):
            return
        resource = self._shard.catalog.find(cluster, GROUP, "v1", "flowschemas")
        if resource is None:
            return
        wanted["lastTransitionTime"] = timestamp(self._shard.now_us())
        kept = [each for each in conditions if each.get("type") != _DANGLING]
        status = {**(schema.get("status") or {}), "conditions": [*kept, wanted]}
        await self._client.update(cluster, resource, {**schema, "status": status}, "status")


_KINDS = frozenset((SCHEMAS, LEVELS))


def _level_of(schema: Object) -> str:
    found: str = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
    return found


def condition(level: str, exists: bool) -> Object:
    """Without its time."""
    about = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if exists:
        return {"type": _DANGLING, "status": "False", "reason": "Found", "message": f"{about} and it exists"}
    text = f"{about} but there is no such object"
    return {"type": _DANGLING, "status": "True", "reason": "NotFound", "message": text}
