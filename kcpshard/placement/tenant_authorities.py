"""The client authorities that logical clusters of this shard have registered, for fronts to follow.

Kept in memory, only of those that have some: read from the store at start and when the shard map changes (a logical
cluster may have come or gone), and with every durable change. What a front is told late harms nobody: the shard proves
the registration anew with each request.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import orjson

from kcpshard.api.client_authorities import CONFIG_MAPS, MEMBER, NAME, NAMESPACE
from kcpshard.api.events import Change, Commit, EventType
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, ObjectStore

_SLICE = 32  # logical clusters looked at in one turn of the loop: under a millisecond
_BATCH_BYTES = 32 * 1024  # some fifty certificates: a front reads them in two milliseconds


class TenantAuthorities:
    """`run` until cancelled. `serves` says whether a path is this shard's."""

    def __init__(self, store: ObjectStore, serves: Callable[[str], bool]) -> None:
        self._store, self._serves = store, serves
        self._known: dict[str, pb.TenantAuthorities] = {}
        self._followers: set[_Follower] = set()
        self._wake, self._read = asyncio.Event(), asyncio.Event()
        self._closed = False
        store.on_commit(self._see)

    def __len__(self) -> int:
        return len(self._known)

    def look_again(self) -> None:
        """Logical clusters may have come or gone."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            await self._read_all()
            self._read.set()
            await self._wake.wait()

    async def follow(self) -> AsyncGenerator[pb.AuthorityBatch, None]:
        """All there are, the last batch of them marked, then each change. Ends with `close`."""
        await self._read.wait()
        mine = _Follower()
        self._followers.add(mine)
        try:
            for batch in _batches(list(self._known.values())):
                yield batch
            while not self._closed:
                await mine.changed.wait()
                mine.changed.clear()
                waiting, mine.waiting = mine.waiting, {}
                if waiting:
                    yield pb.AuthorityBatch(authorities=waiting.values())
        finally:
            self._followers.discard(mine)

    def close(self) -> None:
        """End the streams."""
        self._closed = True
        self._read.set()
        for follower in self._followers:
            follower.changed.set()

    async def _read_all(self) -> None:
        found: set[str] = set()
        after = ""
        while clusters := list(islice(self._store.clusters(after), _SLICE)):
            after = clusters[-1].path
            for cluster in clusters:
                if self._serves(cluster.path) and self._read_one(cluster):
                    found.add(cluster.path)
            await asyncio.sleep(0)
        for path in self._known.keys() - found:
            known = self._store.pending_cluster(path)
            if known is None or not self._serves(path) or not self._read_one(known):
                self._put(path, pb.TenantAuthorities(cluster=path))

    def _read_one(self, cluster: LogicalCluster) -> bool:
        """Whether it has some; what is not durable yet comes as a commit."""
        try:
            value = self._store.get(cluster, CONFIG_MAPS, NAMESPACE, NAME)
        except NotDurable:
            return cluster.path in self._known
        if value is not None:
            self._put(cluster.path, _message(cluster.path, cluster.id, value))
        return value is not None

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.name == NAME and change.namespace == NAMESPACE and change.group_resource == CONFIG_MAPS:
                    self._changed(commits, commit.cluster_id, change)

    def _changed(self, commits: Sequence[Commit], cluster_id: int, change: Change) -> None:
        cluster = self._store.cluster_by_id(cluster_id)
        # One that is born in these very commits is not found yet.
        path = cluster.path if cluster is not None else _born_as(commits, cluster_id)
        if path:
            nothing = pb.TenantAuthorities(cluster=path, cluster_id=cluster_id)
            is_gone = change.type is EventType.DELETED
            self._put(path, nothing if is_gone else _message(path, cluster_id, change.value))

    def _put(self, path: str, message: pb.TenantAuthorities) -> None:
        if self._known.get(path) == message or (path not in self._known and not message.certificates):
            return
        if message.certificates:
            self._known[path] = message
        else:
            del self._known[path]
        for follower in self._followers:
            follower.waiting[path] = message
            follower.changed.set()


class _Follower:
    """Of one stream: the newest of each logical cluster that it has not been told."""

    def __init__(self) -> None:
        self.waiting: dict[str, pb.TenantAuthorities] = {}
        self.changed = asyncio.Event()


def _born_as(commits: Sequence[Commit], cluster_id: int) -> str:
    return next((commit.born for commit in commits if commit.cluster_id == cluster_id and commit.born), "")


def _message(path: str, cluster_id: int, value: bytes) -> pb.TenantAuthorities:
    document: Any = orjson.loads(envelope.body(value))
    return pb.TenantAuthorities(
        cluster=path,
        cluster_id=cluster_id,
        since=envelope.created_revision(value),
        uid=document["metadata"]["uid"],
        certificates=str((document.get("data") or {}).get(MEMBER, "")).encode(),
    )


def _batches(messages: Iterable[pb.TenantAuthorities]) -> Iterable[pb.AuthorityBatch]:
    batch, size = pb.AuthorityBatch(), 0
    for message in messages:
        if size and size + len(message.certificates) > _BATCH_BYTES:
            yield batch
            batch, size = pb.AuthorityBatch(), 0
        batch.authorities.append(message)
        size += len(message.certificates)
    batch.complete = True
    yield batch
