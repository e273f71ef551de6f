"""A shard among the others: its start is checked against what they know, then it follows the map.

First start of a directory: an identity, made durable; then the keeper is told of it; then the initial slots that the
keeper's map gives it are claimed. So a directory that is not the registered one never comes to own anything.

Later starts: every peer that answers within a moment is asked for its map; one that contradicts our records ends the
start. If none answers we serve what our records say (the fence is the data); the keeper, once reachable, may still
refuse us, which ends the process.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NoReturn

import orjson

from kcpshard.placement.keeper_records import RoleLost
from kcpshard.placement.keeper_role import KeeperRole
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.ownership import FIRST_EPOCH, Ownership
from kcpshard.placement.ownership_states import ClusterState
from kcpshard.placement.registration import RegistrationRefused, contradiction
from kcpshard.placement.shard_map import (
    FIRST_KEEPER,
    KEEPER_CLUSTER,
    entry_of,
    granted_slots,
    initial_map,
    owner_of,
    pins_of,
)
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import MapFollower, NotKeeper, PlacementClient, Refused, Unreachable
from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.durability import durable

log = logging.getLogger(__name__)

PEER_ANSWER_S = 1.0  # peers that restart together with us do not answer at all; a live one does so in milliseconds
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0  # between rounds in which the keeper was not found


class MayNotServe(Exception):
    """This shard must not (or no longer) serve its directory; the text is a sentence for the operator."""


class Membership:
    """`entry` is what the map shall say of us; `peers` are admin addresses known from the command line; `client` gives
    the calls of the shard at an admin address."""

    def __init__(
        self,
        ownership: Ownership,
        maps: MapCopy,
        entry: pb.ShardEntry,
        peers: Sequence[str],
        client: Callable[[str], PlacementClient],
        follower: MapFollower,
        role: KeeperRole,
    ) -> None:
        self._ownership = ownership
        self._maps = maps
        self._entry = entry
        self._peers = tuple(peers)
        self._client = client
        self._follower = follower
        self._role = role

    async def start(self, initial_shards: int) -> None:
        """Until we may serve: the initial slots are claimed durably. Raises MayNotServe."""
        try:
            await self._start(initial_shards)
        except ReadOnly as error:
            raise MayNotServe(f"this shard's data directory takes no writes: {error.cause}") from error

    async def _start(self, initial_shards: int) -> None:
        if self._ownership.number != self._entry.number:
            raise MayNotServe(
                f"the data directory belongs to shard {self._ownership.number}, not to shard {self._entry.number}"
            )
        if not self._ownership.data_id:
            await durable(self._ownership.begin())
        self._entry.data_id = self._ownership.data_id
        await self._look_for_original()
        await self._ask_peers()
        if self._role.keeper is not None and not self._maps.accepted.epoch:
            await self._found(initial_shards)
        if self._ownership.epoch < FIRST_EPOCH:
            await self._register()
            mine = granted_slots(self._maps.accepted, self._entry.number)
            await durable(self._ownership.claim(mine, pins_of(self._maps.accepted)))
            await self._register()

    async def run(self) -> NoReturn:
        """Keep the copy of the map true; at the keeper, move slots. Raises MayNotServe if the keeper refuses us."""
        while True:
            try:
                address = await self._register()
                if self._role.keeper is not None:
                    await self._role.keeper.run()
                elif address:  # else the role went while we registered with ourselves
                    await self._follow(address)
            except RoleLost:
                continue
            except ReadOnly as error:
                log.warning("the copy of the shard map stays behind: %s", error)
                await asyncio.sleep(LAST_PAUSE_S)

    # --- first start

    async def _found(self, initial_shards: int) -> None:
        if initial_shards < 1:
            raise MayNotServe("shard 1 starts an installation: it must be told the number of shards to begin with")
        await durable(self._maps.put(initial_map(initial_shards)))

    async def _look_for_original(self) -> None:
        """A copied directory names the address of the one it was copied from: were that alive, the copy would take its
        place in the map, and its clients with it."""
        entry = entry_of(self._maps.accepted, self._entry.number)
        if entry is None or entry.admin_address in ("", self._entry.admin_address):
            return
        try:
            found = orjson.loads(await self._client(entry.admin_address).statistics(PEER_ANSWER_S, census=False))
        except (Unreachable, Refused):
            return
        if found.get("dataId") == self._ownership.data_id.hex():
            raise MayNotServe(
                f"the data directory is a copy of that of shard {self._entry.number}, which runs at "
                f"{entry.admin_address}: stop that one first"
            )

    async def _ask_peers(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(self._peer_map(address)) for address in self._known_addresses()]
        for answer in answers:
            message = answer.result()
            entry = entry_of(message, self._entry.number) if message else None
            if entry and (text := contradiction(entry, self._ownership.data_id, self._ownership.epoch)):
                raise MayNotServe(text)
            if message and not entry and self._role.keeper is not None:
                raise MayNotServe(
                    f"shard {self._entry.number} is not in the installation that its peers belong to: it was taken out"
                )

    async def _peer_map(self, address: str) -> pb.ShardMap | None:
        try:
            async with asyncio.timeout(PEER_ANSWER_S), aclosing(self._follower.follow(address, 0)) as maps:
                async for message in maps:
                    return message
        except (Unreachable, Refused, TimeoutError) as error:
            log.debug("no shard map from %s: %s", address, error)
        return None

    # --- the keeper

    async def _register(self) -> str:
        """Where the keeper is that took us; its first map may not say yet that it is the keeper."""
        if self._role.keeper is not None:
            try:
                await self._role.keeper.register(self._registration())
            except RegistrationRefused as error:
                raise MayNotServe(str(error)) from error
            return ""
        found = await self._register_at_keeper()
        if found is None:
            return ""
        address, shown = found
        await self._take(shown)
        return address

    def _registration(self) -> pb.RegisterShardRequest:
        return pb.RegisterShardRequest(shard=self._entry, ownership_epoch=self._ownership.epoch)

    async def _register_at_keeper(self) -> tuple[str, pb.ShardMap] | None:
        """Its address, and what it answers; None: we are the keeper ourselves now."""
        pause_s = FIRST_PAUSE_S
        while self._role.keeper is None:
            for address in self._known_addresses():
                request = self._registration()
                try:
                    return address, await self._client(address).register(request)
                except (NotKeeper, Unreachable) as error:
                    log.debug("%s does not register us: %s", address, error)
                except Refused as error:
                    if request.ownership_epoch == self._ownership.epoch:
                        raise MayNotServe(str(error)) from error
                    # A keeper that commands us already knows a newer epoch than what was on its way to it.
                    log.info("%s took our registration for an old one: %s", address, error)
            log.info("waiting for the shard that keeps the map")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)
        return None

    async def _follow(self, address: str) -> None:
        """Until the keeper's stream ends, another one is the keeper, or we are."""
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow_stream(address))
            changing = tasks.create_task(self._role.change())
            await asyncio.wait((following, changing), return_when=asyncio.FIRST_COMPLETED)
            following.cancel()
            changing.cancel()
        if self._role.keeper is None:
            await asyncio.sleep(FIRST_PAUSE_S)

    async def _follow_stream(self, address: str) -> None:
        keeper = owner_of(self._maps.accepted, KEEPER_CLUSTER)
        try:
            async with aclosing(self._follower.follow(address, self._maps.accepted.epoch)) as maps:
                async for message in maps:
                    await self._take(message)
                    if owner_of(self._maps.accepted, KEEPER_CLUSTER) != keeper:
                        return
        except (Unreachable, Refused) as error:
            log.debug("the keeper's map ends: %s", error)
        except ReadOnly as error:  # here: out of a TaskGroup it would come as another exception
            log.warning("the copy of the shard map stays behind: %s", error)
            await asyncio.sleep(LAST_PAUSE_S)

    async def _take(self, message: pb.ShardMap) -> None:
        if message.epoch > self._maps.accepted.epoch:
            await durable(self._maps.put(message))

    def _keeper_address(self) -> str:
        entry = entry_of(self._maps.accepted, owner_of(self._maps.accepted, KEEPER_CLUSTER))
        return entry.admin_address if entry else ""

    def _known_addresses(self) -> list[str]:
        """The keeper's first, then everybody's; never our own, present or past."""
        others = [entry for entry in self._maps.accepted.shards if entry.number != self._entry.number]
        keeper = [self._keeper_address()] if self._role.keeper is None else []
        found = dict.fromkeys((*keeper, *self._peers, *(entry.admin_address for entry in others)))
        return [address for address in found if address and address != self._entry.admin_address]


def is_keeper(ownership: Ownership) -> bool:
    """Who owns system:shards; in a new directory, shard 1, which is about to."""
    if ownership.epoch < FIRST_EPOCH:
        return ownership.number == FIRST_KEEPER
    return ownership.cluster_state(KEEPER_CLUSTER) is ClusterState.ADOPTED
