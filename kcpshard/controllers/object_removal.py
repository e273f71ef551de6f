"""Deletes all objects of one type in a logical cluster, in turns of the loop of about two milliseconds."""

import asyncio
from collections.abc import Sequence

from kcpshard.api.loop_time import unbounded
from kcpshard.api.requests import Identity
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import Group, LogicalCluster, ScanItem
from kcpshard.storage.durability import durable
from kcpshard.verbs.delete import delete_object
from kcpshard.verbs.finalization import DeleteOptions
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

_IDENTITY = Identity("system:apiserver", "", ("system:masters",)).encode()
_A_TURN = 32
_TURN_S = 0.001  # of deletions, ~60 µs each; committing them and telling whoever listens takes as long again


async def remove_all(shard: Shard, cluster: LogicalCluster, resource: Resource) -> bool:
    """Whether none is left. Those that finalizers hold are marked, and stay. `resource`: of the stored version, loaded.
    Raises NotOwned, ReadOnly."""
    store = shard.store
    after: tuple[str, str] | None = None
    while True:
        items = store.scan(cluster, resource.group_resource, "", store.durable_revision, after, _A_TURN)
        done, group = _delete_some(shard, Target(cluster, resource, resource), items)
        if group is not None:
            await durable(group)  # also a breath for others
        if done == len(items) < _A_TURN:
            return not store.count(cluster, resource.group_resource)
        after = (items[done - 1].namespace, items[done - 1].name)
        await asyncio.sleep(0)
        shard.ownership.check(cluster.path)


def _delete_some(shard: Shard, target: Target, items: Sequence[ScanItem]) -> tuple[int, Group | None]:
    """How many of them were looked at, in this turn of the loop, and the group with the last deletion."""
    now = asyncio.get_running_loop().time
    ends, last = now() + _TURN_S, None
    for place, item in enumerate(items):
        last = _delete(shard, target, item) or last
        if now() >= ends:
            return place + 1, last
    return len(items), last


def _delete(shard: Shard, target: Target, item: ScanItem) -> Group | None:
    assert target.cluster is not None
    value = shard.store.pending(target.cluster, target.stored.group_resource, item.namespace, item.name)
    if value is None:
        return None
    request = pb.Request(cluster=target.cluster.path, namespace=item.namespace, name=item.name, identity=_IDENTITY)
    with unbounded():
        outcome = delete_object(shard, target, request, item.namespace, item.name, value, DeleteOptions())
    return outcome.group if isinstance(outcome, AfterSync) else None
