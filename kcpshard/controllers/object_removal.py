"""Deletes all objects of one type in a logical cluster, in turns that hold the loop for about two milliseconds."""

import asyncio

from kcpshard.api.loop_time import unbounded
from kcpshard.api.requests import Identity
from kcpshard.controllers.system_client import durable
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import Group, LogicalCluster, ScanItem
from kcpshard.verbs.delete import delete_object
from kcpshard.verbs.finalization import DeleteOptions
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

_IDENTITY = Identity("system:apiserver", "", ("system:masters",)).encode()
_A_TURN = 32  # ~60 µs each


async def remove_all(shard: Shard, cluster: LogicalCluster, resource: Resource) -> bool:
    """Whether none is left. Those that finalizers hold are marked, and stay. `resource`: of the stored version, loaded.
    Raises NotOwned, ReadOnly."""
    store = shard.store
    after: tuple[str, str] | None = None
    while True:
        items = store.scan(cluster, resource.group_resource, "", store.durable_revision, after, _A_TURN)
        groups = [_delete(shard, Target(cluster, resource, resource), item) for item in items]
        for group in [g for g in groups if g is not None][-1:]:
            await durable(group)  # also a breath for others
        if len(items) < _A_TURN:
            return not store.count(cluster, resource.group_resource)
        after = (items[-1].namespace, items[-1].name)
        await asyncio.sleep(0)
        shard.ownership.check(cluster.path)


def _delete(shard: Shard, target: Target, item: ScanItem) -> Group | None:
    assert target.cluster is not None
    value = shard.store.pending(target.cluster, target.stored.group_resource, item.namespace, item.name)
    if value is None:
        return None
    request = pb.Request(cluster=target.cluster.path, namespace=item.namespace, name=item.name, identity=_IDENTITY)
    with unbounded():
        outcome = delete_object(shard, target, request, item.namespace, item.name, value, DeleteOptions())
    return outcome.group if isinstance(outcome, AfterSync) else None
