"""The keeper's half of moving logical clusters: which is next, whom to ask, and what the map says afterwards.

One at a time, driven by a durable record. The shard that takes it does the work and is asked until it says that it is
done. Then the owner of its slot is told where it is, if that is a third shard, and the map is published.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from kcpshard import failpoints
from kcpshard.api.slots import decode_table, slot_of
from kcpshard.placement.cluster_moves import DRAIN, PLACE, REBALANCE, ClusterMove, MoveRecord, WantedMove, decode_record
from kcpshard.placement.keeper_records import CLUSTER_MOVES_KEY, KeeperRecords
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.placement.rebalancing import PlannedMove
from kcpshard.placement.shard_changes import SYSTEM_CLUSTERS, ChangeRefused, found, receiving
from kcpshard.placement.shard_map import KEEPER_CLUSTER, KEYS_CLUSTER, entry_of, pins_of, with_moved_slots, with_pin
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.durability import durable

log = logging.getLogger(__name__)

MOVES_KEY = CLUSTER_MOVES_KEY
MAX_ASKED = 10_000
SLOTS_AT_ONCE = 64  # whose logical clusters are moved before the slots themselves
FOUND_AT_ONCE = 256  # logical clusters of a drained shard, between two looks
# Of moves that nobody waits for, so that tenants hardly notice them.
BACKGROUND_PAUSE_S = 0.02
BACKGROUND_BYTES_S = 32 << 20
KEPT_ENDS = 1000
PLACED_WITHIN_S = 8.0  # whoever waits for it asks again


class ClusterCommands(Protocol):
    """What a shard does for the keeper: ours here, PlacementClient for other shards."""

    async def take_cluster(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse: ...
    async def cancel_take(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse: ...
    async def keep_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse: ...
    async def point_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse: ...
    async def find_clusters(self, request: pb.FindClustersRequest) -> pb.FindClustersResponse: ...


class MoveEnd(NamedTuple):
    """How a move ended. `number` counts all of them since the keeper started."""

    number: int
    path: str
    shard: str
    outcome: str  # done, cancelled, failed
    note: str


class ClusterMover:
    """`shard` gives the commands of the shard with that number; raises Unreachable. `next_epoch` is above all given out
    so far; `publish` writes a map, and other records with it."""

    def __init__(
        self,
        records: KeeperRecords,
        shard: Callable[[int], ClusterCommands],
        next_epoch: Callable[[], int],
    ) -> None:
        self._records, self._shard, self._next_epoch = records, shard, next_epoch
        self._record = decode_record(records.get_meta(MOVES_KEY))
        self._planned: deque[WantedMove] = deque()
        self._progress = pb.TakeClusterResponse()
        self._ends: deque[MoveEnd] = deque(maxlen=KEPT_ENDS)
        self._ended = 0
        self._has_ended = asyncio.Event()  # replaced with each move that ends
        self._stuck: set[str] = set()  # what could not be moved: left alone until somebody changes something

    @property
    def epoch(self) -> int:
        """The newest given to a move; 0: none."""
        return self._record.epoch

    # --- what administrators ask

    async def ask(self, request: pb.MoveClustersRequest) -> Sequence[str]:
        """The paths whose moves wait now, durable. Raises ChangeRefused, ReadOnly, Unreachable."""
        paths = await self._paths(request)
        if request.unpin:
            if KEEPER_CLUSTER in paths:
                raise ChangeRefused(f"{KEEPER_CLUSTER} is always pinned: kcp move {KEEPER_CLUSTER} --to SHARD")
            await self._pin(paths, 0)
            return paths
        shard = receiving(self._records.accepted, request.shard)
        is_pinned = request.pin or request.cluster == KEEPER_CLUSTER
        if len(self._record.asked) + len(paths) > MAX_ASKED:
            raise ChangeRefused(f"at most {MAX_ASKED} moves can wait")
        self._stuck.difference_update(paths)
        await self._write(self._record.with_asked(WantedMove(path, shard.number, is_pinned) for path in paths))
        return paths

    async def place(self, path: str, beside: str, wake: Callable[[], None]) -> None:
        """Until that path is served where `beside` is; nothing lives there yet."""
        shard = await self._owner(beside)
        if shard is None:
            raise ChangeRefused(f"there is no logical cluster {beside}")
        if await self._owner(path, unborn=True) == shard:
            return
        if len(self._record.asked) >= MAX_ASKED:
            raise ChangeRefused(f"at most {MAX_ASKED} moves can wait")
        before = self._ended
        await self._write(self._record.with_asked([WantedMove(path, shard, False, PLACE)]))
        wake()
        try:
            async with asyncio.timeout(PLACED_WITHIN_S):
                while (end := self._end_of(path, before)) is None:
                    await self._has_ended.wait()
        except TimeoutError:
            raise Unreachable(f"{path} waits for moves that come before it") from None
        if end.outcome != "done":
            raise ChangeRefused(end.note or f"{path} could not be placed: {end.outcome}")

    def _end_of(self, path: str, after: int) -> MoveEnd | None:
        return next((end for end in reversed(self._ends) if end.path == path and end.number > after), None)

    async def cancel(self, request: pb.MoveClustersRequest) -> Sequence[str]:
        """The paths whose moves are no more. Raises ChangeRefused if one is being handed over."""
        under = f"{request.cluster}:"

        def is_meant(path: str) -> bool:
            return path == request.cluster or (request.children and path.startswith(under))

        waiting = [each.path for each in self._record.asked if is_meant(each.path)]
        waiting += [each.path for each in self._planned if is_meant(each.path)]
        self._planned = deque(each for each in self._planned if not is_meant(each.path))
        await self._write(self._record.without(waiting))
        for path in waiting:
            self._end(path, 0, "cancelled", "")
        active = self._record.active
        if active is not None and is_meant(active.path):
            answer = await self._shard(active.destination).cancel_take(self._take_request(active))
            if answer.stage != "cancelled":
                raise ChangeRefused(f"{active.path} is being handed over: it is too late to cancel")
            waiting.append(active.path)
        if not waiting:
            raise ChangeRefused(f"{request.cluster} is not being moved")
        return waiting

    async def _paths(self, request: pb.MoveClustersRequest) -> list[str]:
        wanted = pb.FindClustersRequest(under=request.cluster, alone=not request.children)
        paths: dict[str, None] = {}
        for entry in self._serving():
            paths.update(dict.fromkeys((await self._shard(entry.number).find_clusters(wanted)).clusters))
        if request.cluster != KEEPER_CLUSTER and (system := SYSTEM_CLUSTERS.intersection(paths)):
            raise ChangeRefused(f"{min(system)} follows {KEEPER_CLUSTER}, which is moved by its name")
        if not paths:
            raise ChangeRefused(f"there is no logical cluster {request.cluster}")
        return sorted(paths)

    async def _pin(self, paths: Iterable[str], shard: int) -> None:
        newest = self._records.accepted
        for path in paths:
            newest = with_pin(newest, path, shard)
        newest.epoch = self._next_epoch()
        await durable(self._records.put(newest))

    def figures(self) -> Mapping[str, Any]:
        """What is under way, what waits, what has ended lately. JSON values."""
        active = self._record.active
        under_way = None
        if active is not None:
            now = self._progress
            under_way = {
                **self._shown(active.path, active.destination, active.reason),
                "from": self._name(active.source), "stage": now.stage or "copying", "note": now.note,
                "objects": now.objects, "records": now.records, "bytes": now.bytes,
            }  # fmt: skip
        waiting = [self._shown(w.path, w.destination, w.reason) for w in (*self._record.asked, *self._planned)]
        return {
            "active": under_way,
            "waiting": waiting,
            "ended": [e._asdict() for e in self._ends],
            "last": self._ended,
        }

    def _shown(self, path: str, destination: int, reason: str) -> dict[str, Any]:
        return {"path": path, "to": self._name(destination), "reason": reason}

    # --- doing it

    async def step(self) -> bool:
        """One step of the move under way, or of the next one; False if there is nothing to do. Raises Unreachable,
        ServiceUnavailable, ReadOnly: to be tried again."""
        active = self._record.active
        if active is not None:
            await self._drive(active)
        elif self._record.asked:
            await self._begin(self._record.asked[0])
        elif self._planned:
            await asyncio.sleep(BACKGROUND_PAUSE_S)
            if not self._record.asked and self._planned:
                await self._begin(self._planned.popleft())
        else:
            return False
        return True

    async def _begin(self, wanted: WantedMove) -> None:
        source = await self._owner(wanted.path, wanted.reason == PLACE)
        destination = entry_of(self._records.accepted, wanted.destination)
        if source is None or destination is None or destination.cordoned:
            why = (
                "its destination is not open now"
                if source is not None
                else f"there is no logical cluster {wanted.path}"
            )
            if source is None and wanted.reason == PLACE:
                why = f"there is a logical cluster {wanted.path}"
            await self._write(self._record.without((wanted.path,)))
            self._stuck.add(wanted.path)
            self._end(wanted.path, wanted.destination, "failed", why)
        elif source == wanted.destination:
            await self._stay(wanted)
        else:
            move = ClusterMove(self._next_epoch(), wanted.path, source, *wanted[1:])
            self._progress = pb.TakeClusterResponse()
            await self._write(self._record.begun(move))
            if failpoints.armed:
                failpoints.reach("placement.cluster_move")

    async def _stay(self, wanted: WantedMove) -> None:
        """It is there already."""
        if wanted.pin:
            epoch = self._next_epoch()
            await self._write(self._record.at_epoch(epoch))
            request = pb.SealClusterRequest(epoch=epoch, cluster=wanted.path)
            await self._shard(wanted.destination).keep_cluster(request)
            newest = with_moved_slots(self._records.accepted, (), wanted.destination, {wanted.destination: epoch})
            newest = with_pin(newest, wanted.path, wanted.destination)
            newest.epoch = max(newest.epoch, epoch + 1)
            await durable(self._records.put(newest))
        await self._write(self._record.without((wanted.path,)))
        self._end(wanted.path, wanted.destination, "done", "it is there already")

    async def _owner(self, path: str, unborn: bool = False) -> int | None:
        """Who serves it. Raises Unreachable where a shard that may does not answer."""
        wanted = pb.FindClustersRequest(under=path, alone=True, unborn=unborn)
        for entry in self._serving():
            if (await self._shard(entry.number).find_clusters(wanted)).clusters:
                return entry.number
        return None

    async def _drive(self, move: ClusterMove) -> None:
        try:
            answer = await self._shard(move.destination).take_cluster(self._take_request(move))
        except (Refused, OwnershipConflict) as error:
            answer = pb.TakeClusterResponse(stage="failed", note=str(error))
        self._progress = answer
        if answer.stage == "done":
            await self._finish(move)
        elif answer.stage in ("cancelled", "failed"):
            await self._write(self._record.ended())
            self._stuck.add(move.path)
            self._end(move.path, move.destination, answer.stage, answer.note)

    def _take_request(self, move: ClusterMove) -> pb.TakeClusterRequest:
        rate = BACKGROUND_BYTES_S if move.reason in (DRAIN, REBALANCE) else 0
        return pb.TakeClusterRequest(
            epoch=move.epoch, cluster=move.path, source=move.source, bytes_per_second=rate, unborn=move.reason == PLACE
        )

    async def _finish(self, move: ClusterMove) -> None:
        owner = decode_table(self._records.accepted.slots)[slot_of(move.path)]
        if owner not in (move.source, move.destination):
            request = pb.SealClusterRequest(epoch=move.epoch, cluster=move.path, moved_to=move.destination)
            await self._shard(owner).point_cluster(request)
        if failpoints.armed:
            failpoints.reach("placement.cluster_publish")
        epochs = {move.source: move.epoch, move.destination: move.epoch}
        newest = with_moved_slots(self._records.accepted, (), move.destination, epochs)
        is_pinned = any(pin.cluster == move.path for pin in newest.pins)
        if move.pin or is_pinned:
            newest = with_pin(newest, move.path, move.destination if move.pin else 0)
        newest.epoch = max(newest.epoch, move.epoch + 1)
        after = self._record.ended()
        group = self._records.put(newest, {MOVES_KEY: after.encode()})
        self._record = after
        await self._written(group)
        self._end(move.path, move.destination, "done", "")

    async def _write(self, after: MoveRecord) -> None:
        if after == self._record:
            return
        group = self._records.put_meta({MOVES_KEY: after.encode()})
        self._record = after
        await self._written(group)

    async def _written(self, group: Any) -> None:
        try:
            await durable(group)
        except ReadOnly:
            self._record = decode_record(self._records.get_meta(MOVES_KEY))
            raise

    def _end(self, path: str, destination: int, outcome: str, note: str) -> None:
        self._ended += 1
        self._has_ended.set()
        self._has_ended = asyncio.Event()
        self._ends.append(MoveEnd(self._ended, path, self._name(destination), outcome, note))
        level = logging.WARNING if outcome == "failed" else logging.INFO
        log.log(level, "move of %s to %s: %s %s", path, self._name(destination), outcome, note)

    # --- what nobody asked for

    def reconsider(self) -> None:
        """Something has changed: what could not be moved may be movable now."""
        self._stuck.clear()

    async def prepare(self, plan: PlannedMove) -> PlannedMove:
        """Have the logical clusters of these slots moved ahead of them: of all, or of the first ones, which are the
        slots to move when nothing is planned any more."""
        shard = self._shard(plan.source)
        request = pb.FindClustersRequest(slots=plan.slots, here=True, limit=FOUND_AT_ONCE)
        answer = await shard.find_clusters(request)
        if answer.more:
            plan = plan._replace(slots=plan.slots[:SLOTS_AT_ONCE])
            answer = await shard.find_clusters(pb.FindClustersRequest(slots=plan.slots, here=True))
        self._planned.extend(
            WantedMove(path, plan.destination, False, REBALANCE) for path in answer.clusters if path not in self._stuck
        )
        return plan

    async def plan_drains(self) -> bool:
        """Have what is left on drained shards moved to where its slots are, and system:shards, with which the keeper's
        role goes, after all that; whether there is anything."""
        table = decode_table(self._records.accepted.slots)
        for entry in self._serving():
            if not entry.draining or entry.number in table:
                continue
            request = pb.FindClustersRequest(limit=FOUND_AT_ONCE)
            paths = (await self._shard(entry.number).find_clusters(request)).clusters
            tenants = [path for path in paths if path not in SYSTEM_CLUSTERS]
            self._planned.extend(
                WantedMove(path, table[slot_of(path)], False, DRAIN) for path in tenants if path not in self._stuck
            )
            if not tenants:
                # Where something lived, or may be born: the owner of the slot sends everybody here.
                request = pb.FindClustersRequest(limit=FOUND_AT_ONCE, unborn=True)
                paths_alone = (await self._shard(entry.number).find_clusters(request)).clusters
                tenants = [path for path in paths_alone if path not in SYSTEM_CLUSTERS]
                self._planned.extend(
                    WantedMove(path, table[slot_of(path)], False, PLACE) for path in tenants if path not in self._stuck
                )
            if not tenants and KEEPER_CLUSTER in paths and KEEPER_CLUSTER not in self._stuck:
                heir = min(e.number for e in self._serving() if not e.cordoned)
                self._planned.append(WantedMove(KEEPER_CLUSTER, heir, True, DRAIN))
        return bool(self._planned)

    async def plan_keys(self) -> bool:
        """Have system:keys follow the role; whether there is anything to do."""
        pins = pins_of(self._records.accepted)
        keeper = pins[KEEPER_CLUSTER]
        if pins.get(KEYS_CLUSTER, keeper) == keeper or KEYS_CLUSTER in self._stuck:
            return False
        reason = PLACE if await self._owner(KEYS_CLUSTER) is None else DRAIN  # they may not have been made yet
        self._planned.append(WantedMove(KEYS_CLUSTER, keeper, True, reason))
        return True

    async def is_empty(self, name: str) -> bool:
        """Whether that shard serves nothing. Raises Unreachable."""
        entry = found(self._records.accepted, name)
        if not entry.ownership_epoch:
            return True
        find = self._shard(entry.number).find_clusters
        wanted = pb.FindClustersRequest(limit=1), pb.FindClustersRequest(limit=1, unborn=True)
        return not any([(await find(each)).clusters for each in wanted])

    def _serving(self) -> list[pb.ShardEntry]:
        return [entry for entry in self._records.accepted.shards if entry.admin_address and entry.ownership_epoch]

    def _name(self, number: int) -> str:
        entry = entry_of(self._records.accepted, number)
        return entry.name if entry else ""
