"""The keeper's loop over signing keys: makes them, lets them sign once they are known everywhere, forgets them.

What the Secrets say (`key_objects`) is put into the shard map; from there every shard and front has it. A step is
small and may be repeated after any death: the objects are written first, the map follows them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.credentials.keys import PURPOSES, make_key
from kcpshard.placement.keeper_records import RoleLost
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.signing_keys import FRONT_DELAY_US, Key, KeyState, advanced, needs_key, with_key
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.contract import Group, ReadOnly
from kcpshard.storage.durability import durable

log = logging.getLogger(__name__)

LOOK_S = 5.0  # between looks at the objects: how long a deleted key may still be believed
# A shard that has not answered for this long does not hold up a rotation: fronts that follow it look elsewhere when
# they meet a key that they do not know.
PATIENCE_US = 600_000_000


class Keys(Protocol):
    """`key_objects.KeyObjects`."""

    def read(self) -> list[Key]: ...
    def write(self, keys: Sequence[Key]) -> Group | None: ...


class KeyRotation:
    """`publish` puts keys into the map and returns when that is durable; `known_epoch` asks a shard how new its copy
    of the map is. Where `is_ours` says no, another shard looks after the keys, now or in a moment."""

    def __init__(
        self,
        objects: Keys,
        maps: MapCopy,
        publish: Callable[[Sequence[pb.SigningKey]], Awaitable[object]],
        known_epoch: Callable[[pb.ShardEntry], Awaitable[int]],
        now_us: Callable[[], int],
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._is_ours = is_ours
        self._objects, self._maps, self._publish = objects, maps, publish
        self._known_epoch, self._now_us = known_epoch, now_us
        self._wake = asyncio.Event()
        self._everywhere_since = 0  # microseconds; 0: not every shard is known to have the newest keys
        self._told: frozenset[str] = frozenset()

    async def run(self) -> NoReturn:
        while True:
            try:
                await self.step()
            except RoleLost:
                pass
            except (ReadOnly, ServiceUnavailable) as error:
                log.warning("signing keys stay as they are: %s", error)
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def rotate(self, purpose: str) -> str:
        """Make a new key; returns its id when it is durable. Raises ReadOnly, RoleLost."""
        self._check()
        key = self._new(purpose)
        keys = self._objects.read()
        others = [known for known in keys if known.purpose != purpose]
        await self._write([*others, *with_key([known for known in keys if known.purpose == purpose], key)])
        self._wake.set()
        return key.id

    async def step(self) -> None:
        self._check()
        keys = self._objects.read()
        known = await self._is_known_everywhere(keys)
        after: list[Key] = []
        for purpose in PURPOSES:
            mine = advanced([key for key in keys if key.purpose == purpose], self._now_us(), known)
            after += with_key(mine, self._new(purpose)) if needs_key(mine, self._now_us()) else mine
        await self._write(after)
        await self._put_into_map(after)

    async def _write(self, keys: Sequence[Key]) -> None:
        self._check()
        group = self._objects.write(keys)
        if group is not None:
            await durable(group)

    def _check(self) -> None:
        if not self._is_ours():
            raise RoleLost("another shard keeps the keys")

    def _new(self, purpose: str) -> Key:
        made = make_key(purpose, self._now_us())
        log.info("a new key for %s: %s", purpose, made.id)
        return Key(
            made.id, purpose, made.public_key, made.private_key, made.certificate, KeyState.ANNOUNCED, self._now_us()
        )

    async def _put_into_map(self, keys: Sequence[Key]) -> None:
        wanted = [_message(key) for key in sorted(keys, key=lambda key: (key.purpose, key.since_us, key.id))]
        if list(self._maps.accepted.keys) != wanted:
            await self._publish(wanted)

    async def _is_known_everywhere(self, keys: Sequence[Key]) -> bool:
        """Whether the announced keys have been at every shard for the fronts' delay."""
        announced = frozenset(key.id for key in keys if key.state is KeyState.ANNOUNCED)
        if not announced:
            return False
        now = self._now_us()
        if announced != self._told:
            self._told, self._everywhere_since = announced, 0
        if not self._everywhere_since and await self._shards_know(announced, keys):
            self._everywhere_since = now
        return bool(self._everywhere_since) and now - self._everywhere_since >= FRONT_DELAY_US

    async def _shards_know(self, announced: frozenset[str], keys: Sequence[Key]) -> bool:
        newest = self._maps.current
        if not announced <= {key.id for key in newest.keys}:
            return False
        began = min(key.since_us for key in keys if key.id in announced)
        behind = [entry.name for entry in newest.shards if entry.data_id and not await self._knows(entry, newest)]
        if behind and self._now_us() - began >= PATIENCE_US:
            log.error("a new signing key is used although %s may not know it", ", ".join(behind))
            return True
        return not behind

    async def _knows(self, entry: pb.ShardEntry, newest: pb.ShardMap) -> bool:
        try:
            return await self._known_epoch(entry) >= newest.epoch
        except (Unreachable, Refused):
            return False


def _message(key: Key) -> pb.SigningKey:
    return pb.SigningKey(
        id=key.id,
        purpose=key.purpose,
        public_key=key.public_key,
        private_key=key.private_key,
        certificate=key.certificate,
        signs=key.state is KeyState.SIGNING,
    )
