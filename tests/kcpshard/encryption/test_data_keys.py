import pytest

from kcpshard.encryption.configuration import parse
from kcpshard.encryption.data_keys import LIFE_US, PREFIX, DataKeyRing, open_ring, record_key
from kcpshard.encryption.key_services import KeyServiceError
from kcpshard.storage import keyspace
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.memory_engine import MemoryEngine
from tests.kcpshard.encryption.conftest import IDENTITY, aesgcm, document

SECRETS = ["secrets"]


def ring(engine: MemoryEngine, *keys: str, now_us: int = 0) -> DataKeyRing:
    return open_ring(parse(document((SECRETS, [aesgcm(*keys), IDENTITY]))), engine, now_us)


def test_a_data_key_survives_and_is_not_stored_in_the_clear() -> None:
    engine = MemoryEngine()
    number, cipher = ring(engine, "a").writer_of(b"secrets") or (0, None)
    sealed = cipher.encrypt(bytes(12), b"text", None) if cipher else b""
    again = ring(engine, "a")
    assert again.writer_of(b"secrets") is not None and again.writer_of(b"configmaps") is None
    assert again.cipher_of(number).decrypt(bytes(12), sealed, None) == b"text"
    assert len(engine.scan(keyspace.META, PREFIX, keyspace.after_prefix(PREFIX), 9)) == 1


def test_a_new_key_first_seals_what_comes_and_the_old_one_still_opens() -> None:
    engine = MemoryEngine()
    ring(engine, "a")
    rotated = ring(engine, "b", "a")
    writer = rotated.writer_of(b"secrets")
    assert writer is not None and writer[0] == 2 and rotated.cipher_of(1)
    assert rotated.is_current(2) and not rotated.is_current(1)


def test_a_key_that_is_missing_or_another_one_is_told() -> None:
    engine = MemoryEngine()
    ring(engine, "a")
    with pytest.raises(KeyServiceError, match="aesgcm/a, which the configuration does not name"):
        ring(engine, "b")
    changed = parse(document((SECRETS, [aesgcm("a")])))
    other = changed._replace(providers=(changed.providers[0]._replace(secret=b"x" * 32),))  # type: ignore[call-arg]
    with pytest.raises(KeyServiceError, match="is not the one that sealed"):
        DataKeyRing(other).load(engine)


def test_a_data_key_is_used_for_a_day() -> None:
    engine = MemoryEngine()
    assert ring(engine, "a").wanted(LIFE_US) == []
    assert ring(engine, "a", now_us=LIFE_US).wanted(LIFE_US + 1) == ["aesgcm/a"]
    later = ring(engine, "a", now_us=LIFE_US + 1)
    assert sorted(later.keys) == [1, 2]


def test_what_is_forgotten_does_not_open() -> None:
    engine = MemoryEngine()
    ring(engine, "a")
    rotated = ring(engine, "b", "a")
    rotated.forget(1)
    with pytest.raises(Corrupted, match="data key 1"):
        rotated.cipher_of(1)
    assert record_key(1) in dict(engine.scan(keyspace.META, PREFIX, keyspace.after_prefix(PREFIX), 9))
