"""Keeps what is on disk as the configuration wants it: values sealed with an older data key, or not at all, are written
again, without a new revision; then data keys that nothing is sealed with go.

One pass reads objects and log in slices; a value is read and written again within one loop turn, so that it cannot
overwrite a newer one. A pass begins at the start of a shard and after each change of a data key.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kcpshard.encryption.data_keys import DataKeyRing, NewKey, record_key
from kcpshard.encryption.key_services import KeyServiceError
from kcpshard.storage import keyspace, sealing
from kcpshard.storage.contract import ReadOnly
from kcpshard.storage.sealed_engine import SealedEngine

_log = logging.getLogger(__name__)

SLICE = 64  # values looked at in one loop turn: under a millisecond even if all are sealed anew
PAUSE_S = 0.002  # between slices: requests come first
LOOK_S = 60.0  # between looks at the key services and the age of the data keys
_FAMILIES = (
    (keyspace.OBJECTS, sealing.is_sealed_object, sealing.object_head),
    (keyspace.LOG, sealing.is_sealed_record, sealing.record_head),
)


@dataclass(slots=True)
class ResealingStatistics:
    """`data_keys` that values may still be sealed with; `resealed` values since the start; `is_done`: the last pass
    found everything as the configuration wants it; `key_service_failures` in a row."""

    data_keys: int = 0
    resealed: int = 0
    is_done: bool = False
    key_service_failures: int = 0


class Resealing:
    """`put_record(key, value)` makes a record of the meta family durable; None removes it."""

    def __init__(
        self,
        engine: SealedEngine,
        ring: DataKeyRing,
        now_us: Callable[[], int],
        put_record: Callable[[bytes, bytes | None], Awaitable[None]],
    ) -> None:
        self._engine, self._ring, self._now_us, self._put_record = engine, ring, now_us, put_record
        self.statistics = ResealingStatistics()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self.statistics.is_done:
                    await self.walk()
                await asyncio.sleep(LOOK_S)
                await self.renew()
            except (ReadOnly, OSError) as error:
                _log.warning("sealing anew is put off: %s", error)
                await asyncio.sleep(LOOK_S)

    async def renew(self) -> None:
        """Take new data keys into use where they are due. A key service that fails changes nothing."""
        try:
            made = await asyncio.to_thread(self._make)
        except KeyServiceError as error:
            self.statistics.key_service_failures += 1
            _log.error("no new data key: %s", error)
            return
        self.statistics.key_service_failures = 0
        for new in made:
            await self._put_record(*new.record)
            self._ring.use(new.key)
            self.statistics.is_done = False
            _log.info("data key %d, wrapped by %s, is in use", new.key.number, new.key.service)

    def _make(self) -> Sequence[NewKey]:
        now_us = self._now_us()
        return [self._ring.make(name, now_us) for name in self._ring.wanted(now_us)][:1]  # the others a minute later

    async def walk(self) -> None:
        """One pass over everything; afterwards data keys that were not met go."""
        candidates = {number for number in self._ring.keys if not self._ring.is_current(number)}
        left = 0
        for family, is_sealed, head in _FAMILIES:
            start = b""
            while pairs := self._engine.inner.scan(family, start, keyspace.END, SLICE):
                stale = []
                for key, value in pairs:
                    number = sealing.data_key_number(value, head(value)) if is_sealed(value) else 0
                    if number != self._wanted_number(family, key, value):
                        stale.append(key)
                        candidates.discard(number)
                left += len(stale)
                if stale:
                    self._reseal(family, stale)
                start = pairs[-1][0] + b"\0"
                await asyncio.sleep(PAUSE_S)
        self.statistics.data_keys = len(self._ring.keys)
        if left:
            return await self.walk()  # a second look finds nothing, unless a key has changed meanwhile
        for number in candidates:
            await self._put_record(record_key(number), None)
            self._ring.forget(number)
        self.statistics.data_keys = len(self._ring.keys)
        self.statistics.is_done = True

    def _wanted_number(self, family: str, key: bytes, value: bytes) -> int:
        resource = sealing.object_resource(key) if family == keyspace.OBJECTS else sealing.record_resource(value)
        writer = self._ring.writer_of(resource)
        return 0 if writer is None else writer[0]

    def _reseal(self, family: str, keys: Sequence[bytes]) -> None:
        """In one turn: whatever was written since these were read is newer and is read now."""
        batch = self._engine.batch()
        for key in keys:
            value = self._engine.get(family, key)
            if value is not None:
                batch.put(family, key, value)
                self.statistics.resealed += 1
        self._engine.write(batch)
