"""Carries out the keeper's commands at this shard: looks, decides through `Ownership`, answers when it is durable."""

import asyncio
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Protocol

from kcpshard import failpoints
from kcpshard.api.slots import slot_of
from kcpshard.placement.map_copy import durable
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_records import MetaStore
from kcpshard.placement.ownership_states import ClusterState, LastCommand
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster

BARRIER_KEY = b"placement/barrier"
CLUSTERS_SLICE = 256  # logical clusters looked at per loop turn


class PlacementStore(MetaStore, Protocol):
    """The part of ObjectStore that moving slots needs."""

    @property
    def pending_revision(self) -> int: ...
    def raise_clock(self, revision: int) -> object: ...
    def clusters(self, after: str = "") -> Iterator[LogicalCluster]: ...


class OwnershipCommands:
    """One command at a time. Raises OwnershipConflict where our records contradict, ServiceUnavailable for a clock that
    may not be raised so far yet."""

    def __init__(self, store: PlacementStore, ownership: Ownership) -> None:
        self._store = store
        self._ownership = ownership
        self._lock = asyncio.Lock()

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse:
        async with self._lock:
            self._store.raise_clock(request.revision)
            elsewhere = {pin.cluster: pin.shard for pin in request.elsewhere}
            group = self._ownership.grant(request.epoch, request.slots, elsewhere)
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
        await durable(group)
        return LastCommand("seal", refused, revision)

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
