"""Logical clusters that leave this shard: exported while served, sealed, and forgotten once another shard serves them.

An export is one stream: the range, the log from its beginning, the log as it grows; after the seal what is left of it
and a summary. It may be broken off and taken up again by whoever reads it. What remains here after the other shard has
adopted the logical cluster is kept for a while, for lists that still read it, and then removed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import NamedTuple, NoReturn, Protocol

import orjson

from kcpshard import failpoints
from kcpshard.api.events import Commit
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import CLUSTERS_SLICE, PlacementStore
from kcpshard.placement.ownership_states import ClusterState, OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.cluster_pages import Pair, encode_pairs
from kcpshard.storage.contract import LogicalCluster, NotDurable, ReadOnly
from kcpshard.storage.durability import durable
from kcpshard.verbs.outcome import NotOwned

log = logging.getLogger(__name__)

MESSAGE_BYTES = 512 * 1024  # of a page in one message
LOOK_S = 0.25  # between questions whether another shard serves what we have sealed

Released = Callable[[str, int, int], None]
"""Path, the shard that serves it from now on, our revision: nothing of it is newer here."""


class OtherShard(Protocol):
    """What `PlacementClient` asks of a shard for us."""

    async def show_ownership(self, cluster: str) -> pb.ShowOwnershipResponse: ...


class Leaving(NamedTuple):
    cluster: LogicalCluster
    moved_to: int
    epoch: int  # of the seal; 0: it has been forgotten


class Departures:
    """`shard` gives the calls of the shard with that number; raises Unreachable where nobody knows it. `grace_s` is how
    long data stays after it has been handed over."""

    def __init__(
        self, store: PlacementStore, ownership: Ownership, shard: Callable[[int], OtherShard], grace_s: float
    ) -> None:
        self._store, self._ownership, self._shard, self._grace_s = store, ownership, shard, grace_s
        self._exports: dict[int, asyncio.Event] = {}  # by id of the logical cluster: set when there is more to read
        self._sealed: set[str] = set()  # durably
        self._leaving: dict[str, Leaving] = {}  # sealed here, data still here
        self._going: dict[int, float] = {}  # ids of ranges to be removed → when
        self._wake = asyncio.Event()
        self.on_release: Released = lambda _path, _shard, _revision: None
        # In the turn in which one is sealed, or is ours again because the disk did not take that.
        self.on_seal: Callable[[str], None] = lambda _path: None
        self.on_open: Callable[[str], None] = lambda _path: None
        # What goes with a logical cluster besides its data, once it is sealed.
        self.keeper_state: Callable[[str], pb.KeeperState | None] = lambda _path: None
        store.on_commit(self._see)
        for path, record in ownership.sealed().items():
            cluster = store.pending_cluster(path)
            if cluster is not None:
                self._fence(cluster, record.moved_to, record.epoch)
                self._sealed.add(path)

    # --- exporting

    async def export(self, request: pb.ExportClusterRequest) -> AsyncGenerator[pb.ClusterPage, None]:
        """Raises OwnershipConflict if it is not ours to give to that shard."""
        cluster = await self._exported(request)
        transfers = self._store.transfers
        await self._store.detach_forks(cluster)  # what it shares stays behind
        transfers.spare(cluster.id)
        more = self._exports[cluster.id] = asyncio.Event()
        try:
            head = pb.ClusterHead(id=cluster.id, revision=self._store.durable_revision, oldest=cluster.oldest)
            yield pb.ClusterPage(head=head)
            if not request.has_objects:
                async for message in self._objects(cluster, request.objects_after):
                    yield message
            async for message in self._records(cluster, request.records_after, more):
                yield message
        finally:
            if self._exports.get(cluster.id) is more:
                del self._exports[cluster.id]
            if cluster.path not in self._leaving:
                transfers.expose(cluster.id)

    async def _exported(self, request: pb.ExportClusterRequest) -> LogicalCluster:
        path = request.cluster
        record = self._ownership.cluster_record(path)
        is_theirs = record is not None and (record.state, record.epoch, record.moved_to) == (
            ClusterState.SEALED, request.epoch, request.to,
        )  # fmt: skip
        if not is_theirs and not self._ownership.serves(path):
            raise OwnershipConflict(f"shard {self._ownership.number} does not serve {path}")
        with suppress(NotDurable):
            self._store.find_cluster(path)
        await self._store.transfers.settle()  # also if it is being born
        cluster = self._store.find_cluster(path)
        if cluster is None:
            raise OwnershipConflict(f"there is no logical cluster {path}")
        return cluster

    async def _objects(self, cluster: LogicalCluster, after: bytes) -> AsyncIterator[pb.ClusterPage]:
        is_last = False
        while not is_last:
            page = self._store.transfers.objects(cluster, after)
            # What a crash could take back must not be copied: the log that is copied later would not tell.
            await self._store.transfers.settle()
            after, is_last = page.pairs[-1][0] if page.pairs else after, page.is_last
            for part, more in _parts(page.pairs):
                yield pb.ClusterPage(objects=part, more=more, last=is_last)

    async def _records(
        self, cluster: LogicalCluster, after: bytes, more: asyncio.Event
    ) -> AsyncIterator[pb.ClusterPage]:
        has_told = False
        while True:
            more.clear()
            is_sealed, revision = cluster.path in self._sealed, self._store.durable_revision
            page = self._store.transfers.records(cluster, after, revision)
            if page.pairs:
                after = page.pairs[-1][0]
                for part, goes_on in _parts(page.pairs):
                    yield pb.ClusterPage(records=part, more=goes_on)
            if not page.is_last:
                await asyncio.sleep(0)
            elif is_sealed:
                summary = self._store.transfers.summary(cluster)
                state = self.keeper_state(cluster.path)
                yield pb.ClusterPage(summary=orjson.dumps(summary._asdict()), keeper=state)
                return
            else:
                if not has_told:
                    has_told = True
                    yield pb.ClusterPage(caught_up=revision)
                await more.wait()

    def _see(self, commits: Sequence[Commit]) -> None:
        exports = self._exports
        if exports:
            for commit in commits:
                if commit.cluster_id in exports:
                    exports[commit.cluster_id].set()

    # --- sealing

    async def seal(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        """Durable on return. Raises OwnershipConflict, ReadOnly."""
        path, moved_to = request.cluster, request.moved_to
        if request.unborn:
            return await self._seal_unborn(request)
        cluster = self._store.pending_cluster(path)
        if cluster is None and path not in self._leaving:
            raise OwnershipConflict(f"there is no logical cluster {path}")
        group = self._ownership.seal_cluster(request.epoch, path, moved_to, self._store.pending_revision)
        if group is not None:
            assert cluster is not None, "who exported it has seen it"
            self._fence(cluster, moved_to, request.epoch)
            self.on_seal(path)
            group.when_refused(lambda _cause: self._open(cluster))
            group.when_durable(partial(self._is_sealed, cluster, moved_to))
            if failpoints.armed:
                failpoints.reach("moves.seal")
            await durable(group)
        else:
            await self._store.transfers.settle()
        if failpoints.armed:
            failpoints.reach("moves.seal_durable")
        return pb.OwnershipResponse(epoch=self._ownership.epoch, revision=self._store.durable_revision)

    async def _seal_unborn(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        """Give up a path at which nothing lives. Who is born there asks whose it is in the turn of the birth."""
        path, moved_to = request.cluster, request.moved_to
        if self._store.pending_cluster(path) is not None:
            raise OwnershipConflict(f"there is a logical cluster {path}")
        group = self._ownership.seal_cluster(request.epoch, path, moved_to, self._store.pending_revision)
        if group is not None:
            group.when_durable(lambda: self.on_release(path, moved_to, self._store.durable_revision))
            if failpoints.armed:
                failpoints.reach("moves.seal")
            await durable(group)
        else:
            await self._store.transfers.settle()
        return pb.OwnershipResponse(epoch=self._ownership.epoch, revision=self._store.durable_revision)

    def _fence(self, cluster: LogicalCluster, moved_to: int, epoch: int) -> None:
        self._leaving[cluster.path] = Leaving(cluster, moved_to, epoch)
        self._store.transfers.spare(cluster.id)
        self._store.transfers.fence(cluster, lambda: NotOwned(moved_to))

    def _open(self, cluster: LogicalCluster) -> None:
        """The disk did not take the seal."""
        self._leaving.pop(cluster.path, None)
        self._store.transfers.fences.pop(cluster.id, None)
        self.on_open(cluster.path)

    def _is_sealed(self, cluster: LogicalCluster, moved_to: int) -> None:
        self._sealed.add(cluster.path)
        self.on_release(cluster.path, moved_to, self._store.durable_revision)
        if (waiting := self._exports.get(cluster.id)) is not None:
            waiting.set()
        self._wake.set()

    # --- forgetting

    async def run(self) -> NoReturn:
        """As long as the shard serves: asks whether what was sealed is served elsewhere, and removes what is left."""
        loop = asyncio.get_running_loop()
        for cluster_id in self._store.transfers.departed():
            self._going.setdefault(cluster_id, loop.time())
        await self._find_left_behind()
        while True:
            try:
                await self._forget_all()
                await self._clear_due(loop.time())
            except ReadOnly as cause:
                log.info("what has moved away stays for now: %s", cause)
            await self._until_due(loop.time())

    async def _until_due(self, now: float) -> None:
        self._wake.clear()
        due = min(self._going.values(), default=None)
        pause_s = None if due is None else max(due - now, 0.05)
        if self._leaving:
            pause_s = LOOK_S if pause_s is None else min(pause_s, LOOK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
                await asyncio.sleep(0.05)  # the other shard needs a moment

    async def _forget_all(self) -> None:
        for path, leaving in list(self._leaving.items()):
            if path in self._sealed and await self._is_served(path, leaving):
                await self._forget(leaving.cluster)

    async def _is_served(self, path: str, leaving: "Leaving") -> bool:
        """Whether the other shard has adopted it, and perhaps given it up again, or its slot has followed it."""
        try:
            found = await self._shard(leaving.moved_to).show_ownership(path)
        except (Unreachable, Refused) as error:
            log.debug("whether shard %d serves %s: %s", leaving.moved_to, path, error)
            return False
        return found.state == "here" or (found.state in ("adopted", "sealed") and found.epoch >= leaving.epoch)

    async def _find_left_behind(self) -> None:
        """What was sealed before a restart, and whose record went with its slot since."""
        after = ""
        while batch := list(islice(self._store.clusters(after), CLUSTERS_SLICE)):
            for cluster in batch:
                path = cluster.path
                if self._ownership.cluster_state(path) is ClusterState.ELSEWHERE and path not in self._leaving:
                    self._fence(cluster, self._ownership.slot_owner(path), 0)
                    self._sealed.add(path)
            after = batch[-1].path
            await asyncio.sleep(0)

    async def _forget(self, cluster: LogicalCluster) -> None:
        await durable(self._store.transfers.depart(cluster))
        self._leaving.pop(cluster.path, None)
        self._sealed.discard(cluster.path)
        if failpoints.armed:
            failpoints.reach("moves.departed")
        self._going[cluster.id] = asyncio.get_running_loop().time() + self._grace_s

    async def _clear_due(self, now: float) -> None:
        for cluster_id in [id_ for id_, due in self._going.items() if due <= now]:
            removed = await self._store.transfers.clear(cluster_id)
            self._going.pop(cluster_id, None)
            log.info("removed %d keys of a logical cluster that has moved away", removed)

    async def cleared(self, path: str, cluster_id: int) -> None:
        """Until nothing is left here of an earlier stay of that logical cluster."""
        while path in self._leaving or cluster_id in self._store.transfers.departed():
            if path not in self._leaving:
                self._going.setdefault(cluster_id, asyncio.get_running_loop().time())
            self._wake.set()
            await asyncio.sleep(0.05)

    def let_go(self, cluster_id: int) -> None:
        """A copy that came to nothing: remove it."""
        self._going[cluster_id] = asyncio.get_running_loop().time()
        self._wake.set()


def _parts(pairs: Sequence[Pair]) -> Iterator[tuple[bytes, bool]]:
    """A page in messages; True: more of it follows."""
    raw = encode_pairs(pairs)
    for at in range(0, max(len(raw), 1), MESSAGE_BYTES):
        yield raw[at : at + MESSAGE_BYTES], at + MESSAGE_BYTES < len(raw)
