from typing import Any

import pytest

from kcpshard.encryption import resealing
from kcpshard.encryption.configuration import parse
from kcpshard.encryption.data_keys import LIFE_US, PREFIX, DataKeyRing, open_ring
from kcpshard.encryption.key_services import KeyServiceError
from kcpshard.encryption.resealing import Resealing
from kcpshard.storage import keyspace, sealing
from kcpshard.storage.format import open_format
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.sealed_engine import SealedEngine
from kcpshard.storage.verification import violations
from tests.contracts.stored_objects import put
from tests.kcpshard.encryption.conftest import IDENTITY, aesgcm, document

START_US = 1_800_000_000_000_000


class Shard:
    """A store whose values are sealed as `providers` say; `inner` is what would be on disk."""

    def __init__(self, inner: MemoryEngine, *providers: dict[str, Any], now_us: int = START_US) -> None:
        self.inner, self.now_us = inner, now_us
        open_format(inner, 1)
        self.ring: DataKeyRing = open_ring(parse(document((["*.*"], [*providers]))), inner, now_us)
        self.engine = SealedEngine(inner, self.ring)
        self.store = Store(self.engine, 1, self._tick)
        self.resealing = Resealing(self.engine, self.ring, lambda: self.now_us, self._put_record)

    def _tick(self) -> int:
        self.now_us += 1
        return self.now_us

    async def _put_record(self, key: bytes, value: bytes | None) -> None:
        self.store.put_meta({key.removeprefix(keyspace.OWN): value})

    def write(self, count: int) -> None:
        cluster = self.store.pending_cluster("root")
        puts = [put(f"o{n}") for n in range(count)]
        if cluster is None:
            self.store.create_cluster("root", puts)
        else:
            self.store.commit(cluster, puts)

    def data_keys_in_use(self) -> set[int]:
        found = set()
        for family, is_sealed, head in resealing._FAMILIES:
            for _, value in self.inner.scan(family, b"", keyspace.END, 1000):
                found.add(sealing.data_key_number(value, head(value)) if is_sealed(value) else 0)
        return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "PAUSE_S", 0.0)
    monkeypatch.setattr(resealing, "SLICE", 3)


async def reopened(before: Shard, *providers: dict[str, Any]) -> Shard:
    await before.store.close()
    return Shard(before.inner, *providers, now_us=before.now_us)


async def test_plain_values_are_sealed_once_keys_are_named() -> None:
    shard = Shard(MemoryEngine(), IDENTITY)
    shard.write(10)
    shard = await reopened(shard, aesgcm("a"), IDENTITY)
    assert shard.data_keys_in_use() == {0}
    await shard.resealing.walk()
    assert shard.data_keys_in_use() == {1} and shard.resealing.statistics.resealed == 20
    assert shard.resealing.statistics.is_done and not violations(shard.engine)


async def test_a_rotated_key_is_needed_no_more_after_a_pass() -> None:
    shard = Shard(MemoryEngine(), aesgcm("a"))
    shard.write(10)
    shard = await reopened(shard, aesgcm("b", "a"))
    await shard.resealing.walk()
    assert shard.data_keys_in_use() == {2}
    shard = await reopened(shard, aesgcm("b"))
    cluster = shard.store.find_cluster("root")
    assert cluster is not None and len(shard.store.scan(cluster, "configmaps", "default", 0, None, 99)) == 10
    assert len(shard.inner.scan(keyspace.META, PREFIX, keyspace.after_prefix(PREFIX), 9)) == 1


async def test_identity_first_unseals() -> None:
    shard = Shard(MemoryEngine(), aesgcm("a"))
    shard.write(4)
    shard = await reopened(shard, IDENTITY, aesgcm("a"))
    await shard.resealing.walk()
    assert shard.data_keys_in_use() == {0}


async def test_what_is_written_during_a_pass_is_not_overwritten() -> None:
    shard = Shard(MemoryEngine(), aesgcm("a"))
    shard.write(10)
    shard = await reopened(shard, aesgcm("b", "a"))
    reseal = shard.resealing._reseal

    def interrupted(family: str, keys: Any) -> None:
        shard.write(10)
        reseal(family, keys)

    shard.resealing._reseal = interrupted  # type: ignore[method-assign]
    await shard.resealing.walk()
    await shard.store.close()
    assert not violations(shard.engine)


async def test_a_data_key_is_renewed_when_its_day_has_passed() -> None:
    shard = Shard(MemoryEngine(), aesgcm("a"))
    await shard.resealing.renew()
    assert list(shard.ring.keys) == [1]
    shard.now_us += LIFE_US + 1
    await shard.resealing.renew()
    assert shard.ring.is_current(2) and not shard.ring.is_current(1)


async def test_a_key_service_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shard = Shard(MemoryEngine(), aesgcm("a"))
    shard.now_us += LIFE_US + 1

    def fail(_: bytes) -> Any:
        raise KeyServiceError("away")

    monkeypatch.setattr(shard.ring.services["aesgcm/a"], "wrap", fail)
    await shard.resealing.renew()
    assert list(shard.ring.keys) == [1] and shard.resealing.statistics.key_service_failures == 1
