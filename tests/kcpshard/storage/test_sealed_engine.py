from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.damage import Corrupted, damage_of
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.sealed_engine import SealedEngine
from kcpshard.storage.sealing import Cipher
from tests.contracts.store_contract import StoreContract
from tests.kcpshard.storage.test_sealing import KEY, value


class Keys:
    """One data key, which seals everything but config maps."""

    def __init__(self) -> None:
        self.cipher: Cipher = AESGCM(bytes(32))

    def writer_of(self, group_resource: bytes) -> tuple[int, Cipher] | None:
        return None if group_resource == b"configmaps" else (1, self.cipher)

    def cipher_of(self, number: int) -> Cipher:
        return self.cipher


@pytest.fixture
def engine(tmp_path: Path) -> KeyValueEngine:
    return SealedEngine(RocksdbEngine(str(tmp_path / "data")), Keys())


@pytest.fixture
def reopen(engine: SealedEngine, tmp_path: Path) -> Callable[[], KeyValueEngine]:
    def opened() -> KeyValueEngine:
        engine.close()
        return SealedEngine(RocksdbEngine(str(tmp_path / "data")), Keys())

    return opened


class TestStoreOverSealedValues(StoreContract):
    """The whole contract of the store: nothing above the engine notices."""


def put(engine: SealedEngine) -> None:
    batch = engine.batch()
    batch.put(keyspace.OBJECTS, KEY, value())
    engine.write(batch)


def test_below_it_nothing_can_be_read() -> None:
    inner = MemoryEngine()
    engine = SealedEngine(inner, Keys())
    put(engine)
    raw = inner.get(keyspace.OBJECTS, KEY)
    assert raw is not None and b"hidden" not in raw
    assert engine.get(keyspace.OBJECTS, KEY) == engine.getter(keyspace.OBJECTS)(KEY) == value()
    assert engine.scan(keyspace.OBJECTS, b"", keyspace.END, 9) == [(KEY, value())]


def test_a_value_that_does_not_open_is_damage() -> None:
    keys = Keys()
    engine = SealedEngine(MemoryEngine(), keys)
    put(engine)
    keys.cipher = AESGCM(bytes(31) + b"x")
    with pytest.raises(Corrupted) as raised:
        engine.get(keyspace.OBJECTS, KEY)
    assert damage_of(raised.value) and "hidden" not in str(raised.value)
