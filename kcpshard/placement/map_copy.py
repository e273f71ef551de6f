"""This shard's durable copy of the shard map, and who waits for the next one.

At the keeper it is the original. A map is shown only once it is durable, so that no epoch is ever seen with two
contents; the keeper's own next change builds on what it accepted last.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from google.protobuf.message import DecodeError

from kcpshard.placement.ownership_records import DamagedOwnership, MetaStore
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import Group, ReadOnly
from kcpshard.storage.durability import durable

MAP_KEY = b"placement/map"


class MapClosed(Exception):
    """This shard is ending; there will be no newer map from it."""


class MapCopy:
    """`current` is shown to others; `accepted` may still be on its way to the disk. Epoch 0: no map yet."""

    def __init__(self, store: MetaStore) -> None:
        """Raises DamagedOwnership."""
        self._store = store
        self.accepted = self._stored()
        self.current = self.accepted
        self._group: Group | None = None  # of the last map accepted
        self._closed = False
        self._newer: asyncio.Future[None] | None = None
        self.listeners: list[Callable[[pb.ShardMap], None]] = []  # called with each map that is shown

    def put(self, message: pb.ShardMap, also: Mapping[bytes, bytes | None] | None = None) -> Group:
        """Take a newer map, and other records in the same batch."""
        if message.epoch <= self.accepted.epoch:
            raise ValueError(f"the map of epoch {message.epoch} is not newer than {self.accepted.epoch}")
        self.accepted = message
        group = self._store.put_meta({MAP_KEY: message.SerializeToString(), **(also or {})})
        group.when_durable(partial(self._show, message))
        group.when_refused(self._forget_refused)
        self._group = group
        return group

    async def settled(self) -> pb.ShardMap:
        """The map shown once what is accepted now is durable. Raises ReadOnly if the disk does not take it."""
        if self._group is not None:
            await durable(self._group)
        return self.current

    async def newer_than(self, epoch: int) -> pb.ShardMap:
        """Raises MapClosed when `close` is called first."""
        while self.current.epoch <= epoch:
            if self._closed:
                raise MapClosed
            if self._newer is None:
                self._newer = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._newer,))
        return self.current

    def _stored(self) -> pb.ShardMap:
        message = pb.ShardMap()
        try:
            message.ParseFromString(self._store.get_meta(MAP_KEY) or b"")
        except DecodeError as error:
            raise DamagedOwnership("the copy of the shard map in this data directory is damaged") from error
        return message

    def _forget_refused(self, _cause: ReadOnly) -> None:
        self.accepted, self._group = self._stored(), None

    def _show(self, message: pb.ShardMap) -> None:
        self.current = message
        for listener in self.listeners:
            listener(message)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._newer is not None:
            self._newer.set_result(None)
            self._newer = None
