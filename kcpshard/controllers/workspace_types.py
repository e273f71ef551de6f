"""Tells controllers of workspace types where they find the workspaces that wait for them: status.virtualWorkspaces."""

import orjson

from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Key, Keys
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.durability import durable
from kcpshard.tenancy.names import TENANCY, VERSION, WORKSPACE_TYPES
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import put_of

CONTROLLER = "workspacetype-controller"
_VIEWS = (("initializer", "initializing"), ("terminator", "terminating"))


class WorkspaceTypes:
    """Keys are names of WorkspaceTypes."""

    name = CONTROLLER

    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource != WORKSPACE_TYPES or change.type is EventType.DELETED:
            return ()
        return ((change.name,),)

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        value = self._store.pending_own(cluster, WORKSPACE_TYPES, "", key[0])
        resource = self._shard.catalog.find(cluster, TENANCY, VERSION, "workspacetypes")
        if value is None or resource is None:
            return 0
        found: Object = orjson.loads(envelope.body(value))
        wanted = views(found, self._shard.url, cluster.path)
        status = dict(found.get("status") or {})
        if status.get("virtualWorkspaces", []) == wanted:
            return 0
        status["virtualWorkspaces"] = wanted
        new = {**found, "status": status}
        await durable(self._store.commit(cluster, (put_of(resource, new, ""),)).group)
        return 0


def views(workspace_type: Object, url: str, path: str) -> list[Object]:
    """Of a type that lies in the workspace `path`."""
    spec = workspace_type.get("spec") or {}
    name = f"{path}:{workspace_type['metadata']['name']}"
    return [
        {"url": f"{url}/services/{word}workspaces/{name}", "type": word} for member, word in _VIEWS if spec.get(member)
    ]
