"""A logical cluster copied from one store to another as two shards do it, without the shards."""

from collections.abc import Awaitable, Callable

from kcpshard.storage import keyspace
from kcpshard.storage.arrival import Arrival, Progress, Summary
from kcpshard.storage.contract import Group, LogicalCluster
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import durable


class Gone(Exception):
    """What the fence raises."""


async def nothing() -> None:
    pass


async def begin_copy(source: Store, target: Store, cluster: LogicalCluster, epoch: int = 7) -> Arrival:
    await source.transfers.settle()
    source.transfers.spare(cluster.id)
    progress = Progress(cluster.path, cluster.id, epoch, 1, source.durable_revision, tuple(cluster.oldest))
    arrival, group = target.transfers.begin(progress)
    await durable(group)
    return arrival


async def copy_objects(
    source: Store, arrival: Arrival, cluster: LogicalCluster, between: Callable[[], Awaitable[None]] = nothing
) -> None:
    while not arrival.progress.has_objects:
        page = source.transfers.objects(cluster, bytes.fromhex(arrival.progress.objects_after))
        await source.transfers.settle()
        await durable(arrival.take_objects(page.pairs, page.is_last))
        await between()


async def copy_records(source: Store, arrival: Arrival, cluster: LogicalCluster) -> int:
    """Up to what is durable; how many came."""
    taken = 0
    while True:
        after = bytes.fromhex(arrival.progress.records_after)
        page = source.transfers.records(cluster, after, source.durable_revision)
        taken += len(page.pairs)
        await durable(arrival.take_records(page.pairs))
        if page.is_last:
            return taken


async def hand_over(source: Store, target: Store, arrival: Arrival, cluster: LogicalCluster) -> LogicalCluster:
    """The rest of the log, behind the fence; then the target's own."""
    source.transfers.fence(cluster, lambda: Gone())
    await source.transfers.settle()
    await copy_records(source, arrival, cluster)
    summary: Summary = source.transfers.summary(cluster)
    arrival.check(summary)
    target.raise_clock(summary.revision)
    moved = target.transfers.complete(arrival, summary)
    await target.transfers.settle()
    return moved


async def move(source: Store, target: Store, path: str) -> LogicalCluster:
    cluster = source.find_cluster(path)
    assert cluster is not None
    arrival = await begin_copy(source, target, cluster)
    await copy_objects(source, arrival, cluster)
    await copy_records(source, arrival, cluster)
    return await hand_over(source, target, arrival, cluster)


async def forget(source: Store, cluster: LogicalCluster) -> Group:
    group = source.transfers.depart(cluster)
    await durable(group)
    await source.transfers.clear(cluster.id)
    return group


def keys_of(engine: object, cluster_id: int) -> list[bytes]:
    """Every key in any family that belongs to that logical cluster."""
    prefix = keyspace.number(cluster_id)
    found = []
    for family in keyspace.FAMILIES:
        for key, value in engine.scan(family, b"", keyspace.END, 1 << 20):  # type: ignore[attr-defined]
            if key.startswith(prefix) or (family != keyspace.LOG and prefix in key) or value.startswith(prefix):
                found.append(key)
    return found
