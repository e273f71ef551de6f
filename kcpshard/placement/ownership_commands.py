"""Carries out the keeper's commands at this shard: looks, decides through `Ownership`, answers when it is durable."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Protocol

from kcpshard import failpoints
from kcpshard.api.events import Commit
from kcpshard.api.slots import slot_of
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_records import MetaStore
from kcpshard.placement.ownership_states import ClusterState, LastCommand, OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import Group, LogicalCluster
from kcpshard.storage.durability import durable
from kcpshard.storage.transfers import Transfers

BARRIER_KEY = b"placement/barrier"
CLUSTERS_SLICE = 256  # logical clusters looked at per loop turn


class PlacementStore(MetaStore, Protocol):
    """The part of ObjectStore that moving slots needs."""

    transfers: Transfers

    @property
    def pending_revision(self) -> int: ...
    @property
    def durable_revision(self) -> int: ...
    def raise_clock(self, revision: int) -> Group | None: ...
    def clusters(self, after: str = "") -> Iterator[LogicalCluster]: ...
    def find_cluster(self, path: str) -> LogicalCluster | None: ...
    def pending_cluster(self, path: str) -> LogicalCluster | None: ...
    def on_commit(self, listener: Callable[[Sequence[Commit]], None]) -> None: ...
    async def detach_forks(self, cluster: LogicalCluster) -> None: ...


class OwnershipCommands:
    """One command at a time. Raises OwnershipConflict where our records contradict, ServiceUnavailable for a clock that
    may not be raised so far yet."""

    def __init__(self, store: PlacementStore, ownership: Ownership) -> None:
        self._store = store
        self._ownership = ownership
        self._lock = asyncio.Lock()
        # Called with the slots given up, their new shard and our revision: nobody there was born here.
        self.on_release: Callable[[Collection[int], int, int], None] = lambda _slots, _shard, _revision: None

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse:
        async with self._lock:
            self._store.raise_clock(request.revision)
            elsewhere = {pin.cluster: pin.shard for pin in request.elsewhere}
            group = self._ownership.grant(request.epoch, request.slots, elsewhere, request.kept)
            if group is not None:
                await durable(group)
            return pb.OwnershipResponse(epoch=self._ownership.epoch)

    async def seal(self, request: pb.SealSlotsRequest) -> pb.OwnershipResponse:
        """Seals those of the slots in which no logical cluster lives."""
        async with self._lock:
            answer = self._ownership.sealed_before(request.epoch) or await self._seal(request)
            gone = frozenset(request.slots) - frozenset(answer.refused)
            elsewhere = self._ownership.elsewhere(gone, request.moved_to)
            return pb.OwnershipResponse(
                epoch=self._ownership.epoch,
                refused=answer.refused,
                revision=answer.revision,
                elsewhere=[pb.Pin(cluster=path, shard=shard) for path, shard in elsewhere.items()],
            )

    async def _seal(self, request: pb.SealSlotsRequest) -> LastCommand:
        """Nothing is born in the slots while we look. A request that meets this waits at its front."""
        wanted = frozenset(request.slots)
        self._ownership.close_slots(wanted)
        try:
            # Groups become durable in order: after this one, every birth accepted before is listed.
            await durable(self._store.put_meta({BARRIER_KEY: str(request.epoch).encode()}))
            refused = tuple(sorted(await self._occupied(wanted)))
            revision = self._store.pending_revision
            left = sorted(wanted.difference(refused))
            group = self._ownership.seal(request.epoch, left, request.moved_to, refused, revision)
        finally:
            self._ownership.reopen_slots()
        if failpoints.armed:
            failpoints.reach("placement.sealing")
        group.when_durable(lambda: self.on_release(left, request.moved_to, self._store.durable_revision))
        await durable(group)
        return LastCommand("seal", refused, revision)

    async def keep(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        """A record of its own for a logical cluster that we serve. Who asks for it meanwhile waits."""
        path = request.cluster
        async with self._lock:
            if not self._ownership.serves(path):
                raise OwnershipConflict(f"shard {self._ownership.number} does not serve {path}")
            expected = self._ownership.expect(path)
            try:
                group = self._ownership.keep(request.epoch, path)
                if group is not None:
                    await durable(group)
            finally:
                expected.end()
        return pb.OwnershipResponse(epoch=self._ownership.epoch)

    async def point(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        group = self._ownership.point(request.epoch, request.cluster, request.moved_to)
        if group is not None:
            await durable(group)
        return pb.OwnershipResponse(epoch=self._ownership.epoch)

    def show(self, path: str) -> pb.ShowOwnershipResponse:
        """Durable or not: a record that is accepted is never taken back but by a disk that takes nothing."""
        record = self._ownership.cluster_record(path)
        state = self._ownership.cluster_state(path).value
        if record is None:
            return pb.ShowOwnershipResponse(state=state)
        if record.state is ClusterState.ADOPTED and not self._ownership.serves(path):
            return pb.ShowOwnershipResponse(state=ClusterState.ELSEWHERE.value)  # adopted, not durable yet
        return pb.ShowOwnershipResponse(state=state, epoch=record.epoch, moved_to=record.moved_to)

    async def find(self, request: pb.FindClustersRequest) -> pb.FindClustersResponse:
        """Paths in order, of those served here."""
        if request.unborn:
            return self._find_unborn(request)
        found, under = list[str](), request.under
        slots = frozenset(request.slots)
        if under and self._is_wanted(under, slots, request.here) and self._store.pending_cluster(under) is not None:
            found.append(under)
        if request.alone:
            return pb.FindClustersResponse(clusters=found)
        after = f"{under}:" if under else ""
        while batch := list(islice(self._store.clusters(after), CLUSTERS_SLICE)):
            for cluster in batch:
                if under and not cluster.path.startswith(f"{under}:"):
                    return pb.FindClustersResponse(clusters=found)
                if self._is_wanted(cluster.path, slots, request.here):
                    if request.limit and len(found) == request.limit:
                        return pb.FindClustersResponse(clusters=found, more=True)
                    found.append(cluster.path)
            after = batch[-1].path
            await asyncio.sleep(0)
        return pb.FindClustersResponse(clusters=found)

    def _find_unborn(self, request: pb.FindClustersRequest) -> pb.FindClustersResponse:
        paths = [request.under] if request.alone else sorted(self._ownership.adopted())
        unborn = [p for p in paths if self._ownership.serves(p) and self._store.pending_cluster(p) is None]
        limit = request.limit or len(unborn)
        return pb.FindClustersResponse(clusters=unborn[:limit], more=len(unborn) > limit)

    def _is_wanted(self, path: str, slots: frozenset[int], only_here: bool) -> bool:
        if slots and slot_of(path) not in slots:
            return False
        if only_here and self._ownership.cluster_state(path) is not ClusterState.HERE:
            return False
        return self._ownership.serves(path)

    async def _occupied(self, wanted: Collection[int]) -> set[int]:
        found: set[int] = set()
        after = ""
        while batch := list(islice(self._store.clusters(after), CLUSTERS_SLICE)):
            for cluster in batch:
                slot = slot_of(cluster.path)
                if slot in wanted and self._ownership.cluster_state(cluster.path) is ClusterState.HERE:
                    found.add(slot)
            after = batch[-1].path
            await asyncio.sleep(0)
        return found
