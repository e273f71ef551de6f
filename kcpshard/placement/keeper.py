"""The keeper: the shard that owns system:shards writes the shard map and moves slots.

The role goes with system:shards (`keeper_records`): drained like any other shard, the keeper hands it over last.

One move at a time, driven by its durable record: after any death the keeper takes up where the record says. What it
asks of a shard the shard decides from its own records; a map is published only after they are durable. Slots move when
they are empty: the logical clusters in them go ahead, one by one (`cluster_mover`), as do those that are named.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from kcpshard import failpoints
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.placement.cluster_mover import ClusterCommands, ClusterMover
from kcpshard.placement.keeper_records import SLOT_MOVE_KEY, KeeperRecords, RoleLost
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.ownership_records import MetaStore
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.placement.rebalancing import PlannedMove, plan_move
from kcpshard.placement.registration import RegistrationRefused, register
from kcpshard.placement.shard_changes import ChangeRefused, changed
from kcpshard.placement.shard_map import (
    entry_of,
    new_entry,
    pins_of,
    with_entry,
    with_keys,
    with_moved_slots,
    with_pin,
)
from kcpshard.placement.slot_moves import MoveStage, SlotMove, begin_move, decode_move, sealed
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.contract import Group, ReadOnly
from kcpshard.storage.durability import durable

log = logging.getLogger(__name__)

MOVE_KEY = SLOT_MOVE_KEY
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0  # before a step is asked for again


class SlotCommands(Protocol):
    """What a shard does for the keeper: OwnershipCommands here, PlacementClient for other shards."""

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse: ...
    async def seal(self, request: pb.SealSlotsRequest) -> pb.OwnershipResponse: ...


class Keeper:
    """`shard` gives the commands of the shard with that map entry, `clusters` those about logical clusters, by number;
    `show` is given each map that has become durable. Slots that could not be emptied are looked at again in the next
    round, which a registration, a change or `rebalance` begins."""

    def __init__(
        self,
        store: MetaStore,
        maps: MapCopy,
        shard: Callable[[pb.ShardEntry], SlotCommands],
        clusters: Callable[[int], ClusterCommands],
        show: Callable[[pb.ShardMap], None] = lambda shard_map: None,
    ) -> None:
        self._records = KeeperRecords(store, maps)
        self._shard = shard
        self._show = show
        self._move = self._stored_move()
        self._mover = ClusterMover(self._records, clusters, lambda: self._newest_epoch() + 1)
        self._hindered: set[int] = set()  # slots that could not be emptied
        self._prepared: PlannedMove | None = None  # its logical clusters have gone ahead
        self._wake = asyncio.Event()

    @property
    def move(self) -> SlotMove | None:
        """The move under way."""
        return self._move

    async def register(self, request: pb.RegisterShardRequest) -> pb.ShardMap:
        """The map with that shard in it, durable. Raises RegistrationRefused."""
        newest = register(self._records.accepted, request.shard, request.ownership_epoch, self._newest_epoch())
        shown = await self._publish(newest)
        self.rebalance()
        return shown

    async def reserve(self, name: str = "") -> tuple[int, str]:
        """Number and name for a shard that joins; the same again until that shard has registered. A shard that has may
        not be impersonated by another that takes its name: raises RegistrationRefused."""
        shards = self._records.accepted.shards
        known = next((e for e in shards if e.name == name), None)
        if known is not None and known.data_id:
            raise RegistrationRefused(f"there is a shard of the name {name} already")
        number = known.number if known else max((e.number for e in shards), default=0) + 1
        entry = known or new_entry(number, name)
        await self._publish(with_entry(self._records.accepted, entry))
        return number, entry.name

    async def publish_keys(self, keys: Sequence[pb.SigningKey]) -> pb.ShardMap:
        """The map with those signing keys and no others, durable. Raises ReadOnly."""
        return await self._publish(self._with_newer_epoch(with_keys(self._records.accepted, keys)))

    async def pin(self, path: str, shard: int) -> pb.ShardMap:
        """The map with that logical cluster pinned to a shard, durable. Raises ReadOnly."""
        return await self._publish(self._with_newer_epoch(with_pin(self._records.accepted, path, shard)))

    async def change_shard(self, request: pb.ChangeShardRequest) -> pb.ShardMap:
        """The map after it, durable. Raises ChangeRefused, ReadOnly, Unreachable."""
        newest = changed(self._records.accepted, request)
        if request.change == "remove" and not await self._mover.is_empty(request.shard):
            raise ChangeRefused(f"{request.shard} still has logical clusters: its drain is not over")
        if newest is not self._records.accepted:
            newest = self._with_newer_epoch(changed(self._records.accepted, request))
        shown = await self._publish(newest)
        self.rebalance()
        return shown

    async def move_clusters(self, request: pb.MoveClustersRequest) -> Mapping[str, Any]:
        """What `moves` says, and in "paths" those that it concerns. Raises ChangeRefused, ReadOnly, Unreachable."""
        before = self._mover.figures()["last"]
        paths = await (self._mover.cancel(request) if request.cancel else self._mover.ask(request))
        self._wake.set()
        return {**self.moves(), "paths": list(paths), "before": before}

    async def place(self, path: str, beside: str) -> None:
        """Until `path`, where nothing lives yet, is served where `beside` is. Raises ChangeRefused, ReadOnly,
        Unreachable."""
        await self._mover.place(path, beside, self._wake.set)

    def moves(self) -> Mapping[str, Any]:
        """JSON values: the move under way, those that wait, how the last ones ended, slots yet to be moved."""
        plan = plan_move(self._records.accepted, self._hindered)
        moving = len(self._move.slots) if self._move else 0
        return {**self._mover.figures(), "slots": max(moving, len(plan.slots) if plan else 0)}

    def rebalance(self) -> None:
        """Look whether slots should move."""
        self._hindered.clear()
        self._prepared = None
        self._mover.reconsider()
        self._wake.set()

    def retire(self) -> None:
        """From this turn on another shard is, or will be, the keeper."""
        self._records.closed = True
        self._wake.set()

    async def run(self) -> None:
        """As long as this shard is the keeper."""
        pause_s = FIRST_PAUSE_S
        while not self._records.closed:
            try:
                if not await self._step():
                    self._records.check()
                    self._show(self._records.current)
                    await self._wake.wait()
                    self._wake.clear()
                pause_s = FIRST_PAUSE_S
            except RoleLost:
                break
            except (Unreachable, ServiceUnavailable, ReadOnly) as error:
                log.info("a move of slots waits: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
            except (Refused, OwnershipConflict) as error:
                log.error("a move of slots cannot go on: %s", error)
                await asyncio.sleep(LAST_PAUSE_S)
        log.info("another shard keeps the map now")

    # --- moving

    async def _step(self) -> bool:
        """One step of the move under way, or of a new one; False if there is nothing to do."""
        if self._move is None:
            return await self._mover.step() or await self._begin()
        if self._move.stage is MoveStage.SEAL:
            await self._seal(self._move)
        else:
            await self._grant(self._move)
        return True

    async def _begin(self) -> bool:
        """A move of slots, or what has to be done first; False if everything is where it should be."""
        plan = plan_move(self._records.accepted, self._hindered)
        if plan is None:
            return await self._mover.plan_drains() or await self._mover.plan_keys()
        if self._prepared is None or self._prepared[:2] != plan[:2]:
            self._prepared = await self._mover.prepare(plan)
        else:
            prepared, self._prepared = self._prepared, None
            await self._record(begin_move(prepared, self._newest_epoch() + 1))
        return True

    async def _seal(self, move: SlotMove) -> None:
        request = pb.SealSlotsRequest(epoch=move.epoch, slots=move.slots, moved_to=move.destination)
        try:
            answer = await self._commands(move.source).seal(request)
        except (Refused, OwnershipConflict) as error:
            # Nothing is sealed, so nothing is lost by giving up.
            log.error("shard %d keeps its slots: %s", move.source, error)
            self._hindered.update(move.slots)
            await self._finish(move, (), {})
            return
        self._hindered.update(answer.refused)
        after = sealed(move, answer.refused, answer.revision, ((pin.cluster, pin.shard) for pin in answer.elsewhere))
        if after.slots:
            await self._record(after)
        else:
            await self._finish(move, (), {move.source: move.epoch})

    async def _grant(self, move: SlotMove) -> None:
        pins = [pb.Pin(cluster=path, shard=shard) for path, shard in move.elsewhere]
        kept = pins_of(self._records.accepted)
        request = pb.GrantSlotsRequest(
            epoch=move.epoch, slots=move.slots, revision=move.revision, elsewhere=pins, kept=kept
        )
        await self._commands(move.destination).grant(request)
        await self._finish(move, move.slots, {move.source: move.epoch, move.destination: move.epoch})

    def _commands(self, number: int) -> SlotCommands:
        entry = entry_of(self._records.accepted, number)
        if entry is None:
            raise Unreachable(f"the map has no shard {number}")
        return self._shard(entry)

    async def _record(self, move: SlotMove) -> None:
        group = self._records.put_meta({MOVE_KEY: move.encode()})
        self._move = move
        await self._move_durable(group)
        if failpoints.armed:
            failpoints.reach(f"placement.move_{move.stage.value}")

    async def _finish(self, move: SlotMove, slots: tuple[int, ...], epochs: dict[int, int]) -> None:
        if failpoints.armed:
            failpoints.reach("placement.move_publish")
        newest = with_moved_slots(self._records.accepted, slots, move.destination, epochs)
        newest.epoch = max(newest.epoch, move.epoch + 1)
        group = self._records.put(newest, {MOVE_KEY: None})
        self._move = None
        await self._move_durable(group)
        if slots:
            log.info("%d slots moved from shard %d to shard %d", len(slots), move.source, move.destination)

    async def _move_durable(self, group: Group) -> None:
        try:
            await durable(group)
        except ReadOnly:
            self._move = self._stored_move()
            raise

    def _stored_move(self) -> SlotMove | None:
        raw = self._records.get_meta(MOVE_KEY)
        return decode_move(raw) if raw else None

    # --- the map

    def _newest_epoch(self) -> int:
        """The highest given out to a map or a move."""
        return max(self._records.accepted.epoch, self._move.epoch if self._move else 0, self._mover.epoch)

    def _with_newer_epoch(self, newest: pb.ShardMap) -> pb.ShardMap:
        newest.epoch = self._newest_epoch() + 1
        return newest

    async def _publish(self, newest: pb.ShardMap) -> pb.ShardMap:
        """That map or a newer one, durable. Raises ReadOnly."""
        if newest is not self._records.accepted:
            self._records.put(newest)
        return await self._records.settled()
