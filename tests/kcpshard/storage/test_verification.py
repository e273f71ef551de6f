"""Each planted corruption is found, and called by its name."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kcpshard.settings import Settings
from kcpshard.storage import commit_log, envelope, keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import verify, violations
from tests.contracts.stored_objects import put, remove

START_US = 1_800_000_000_000_000


class Damage:
    """One store's data, and hands to break it with."""

    def __init__(self, engine: KeyValueEngine) -> None:
        self.engine = engine

    def rows(self, family: str, part: bytes = b"") -> list[tuple[bytes, bytes]]:
        return [row for row in self.engine.scan(family, b"", keyspace.END, 999) if part in row[0]]

    def first(self, family: str, part: bytes = b"") -> tuple[bytes, bytes]:
        return self.rows(family, part)[0]

    def put(self, family: str, key: bytes, value: bytes) -> None:
        batch = self.engine.batch()
        batch.put(family, key, value)
        self.engine.write(batch)

    def drop(self, family: str, key: bytes) -> None:
        batch = self.engine.batch()
        batch.delete(family, key)
        self.engine.write(batch)

    def rewrite_record(self, **changes: Any) -> None:
        """Change the newest log record of object `a`, keeping its size where it can."""
        version, n = self.rows("versions", b"\0a\0")[-1]
        key = version[:8] + version[-8:] + (n or b"\0\0")
        record = commit_log.decode(self.engine.get("log", key) or b"")._replace(**changes)
        self.put("log", key, commit_log.encode(
            record.type, record.retention, record.code, record.previous_revision, record.wall_us, record.origin,
            record.key, record.value, record.previous,
        ))  # fmt: skip


@pytest.fixture
async def damage() -> AsyncIterator[Damage]:
    engine = MemoryEngine()
    store = Store(engine, 1, lambda: START_US, Settings())
    cluster, _ = store.create_cluster("root", [put("a"), put("b"), put("gone")])
    store.commit(cluster, [put("a", data="2"), put("e", group_resource="events")])
    store.commit(cluster, [remove("gone")])
    store.commit(cluster, [put("a", data="3", labels={"new": "label"})])
    await store.close()
    assert violations(engine) == []
    yield Damage(engine)


def unknown_format(d: Damage) -> None:
    d.put("meta", b"format", b'{"format":99,"shard":1}')


def lost_format(d: Damage) -> None:
    d.drop("meta", b"format")


def foreign_key(d: Damage) -> None:
    d.put("objects", b"short", b"")


def lost_name(d: Damage) -> None:
    d.drop("meta", d.first("meta", b"name/")[0])


def foreign_cluster(d: Damage) -> None:
    key, value = d.first("objects")
    d.put("objects", keyspace.number(7) + key[8:], value)


def flipped_byte(d: Damage) -> None:
    key, value = d.first("objects")
    d.put("objects", key, value[:-1] + b"x")


def wrong_hole(d: Damage) -> None:
    key, value = d.first("objects")
    d.put("objects", key, envelope.revision(value).to_bytes(8, "big") + value[8:].replace(b"18000", b"18001", 1))


def stale_object(d: Damage) -> None:
    version, n = d.first("versions", b"\0a\0")
    raw = d.engine.get("log", version[:8] + version[-8:] + (n or b"\0\0")) or b""
    d.put("objects", version[:-9], commit_log.decode(raw).value)


def lost_object(d: Damage) -> None:
    d.drop("objects", d.first("objects", b"\0b")[0])


def lost_versions(d: Damage) -> None:
    for key, _ in d.rows("versions", b"\0b\0"):
        d.drop("versions", key)


def lost_record(d: Damage) -> None:
    d.drop("log", d.first("log")[0])


def torn_record(d: Damage) -> None:
    key, value = d.first("log")
    d.put("log", key, value[:40])


def lost_version(d: Damage) -> None:
    d.drop("versions", d.first("versions", b"\0b\0")[0])


def wrong_previous(d: Damage) -> None:
    d.rewrite_record(previous_revision=1, previous=b"")


def lost_middle_version(d: Damage) -> None:
    version, n = d.rows("versions", b"\0a\0")[1]
    d.drop("versions", version)
    d.drop("log", version[:8] + version[-8:] + (n or b"\0\0"))


def lost_first_version(d: Damage) -> None:
    version, n = d.rows("versions", b"\0a\0")[0]
    d.drop("versions", version)
    d.drop("log", version[:8] + version[-8:] + (n or b"\0\0"))


def raised_oldest(d: Damage) -> None:
    key, value = d.first("meta", b"usage/")
    d.put("meta", key, value[:8] + b"\x7f" * 8 + value[16:])


def lost_order(d: Damage) -> None:
    d.drop("order", d.first("order")[0])


def order_without_commit(d: Damage) -> None:
    key, value = d.first("order")
    d.put("order", keyspace.number(int.from_bytes(key, "big") + 500), value)


def wrong_count(d: Damage) -> None:
    key, _ = d.first("meta", b"type/")
    d.put("meta", key, keyspace.number(9))


def wrong_usage(d: Damage) -> None:
    key, value = d.first("meta", b"usage/")
    d.put("meta", key, keyspace.number(1) + value[8:])


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        pytest.param(unknown_format, "format-unusable", id="a newer format"),
        pytest.param(lost_format, "format-unusable", id="no format"),
        pytest.param(foreign_key, "key-unreadable", id="a key of another shape"),
        pytest.param(lost_name, "path-index-broken", id="a path without its name"),
        pytest.param(foreign_cluster, "unknown-cluster", id="an object of no cluster"),
        pytest.param(flipped_byte, "envelope-damaged", id="broken JSON"),
        pytest.param(wrong_hole, "envelope-damaged", id="a resourceVersion that is not the revision"),
        pytest.param(stale_object, "object-not-newest", id="an older state in place of the newest"),
        pytest.param(lost_object, "object-missing", id="an object is gone, its versions are not"),
        pytest.param(lost_versions, "object-not-logged", id="an object without its versions"),
        pytest.param(lost_record, "version-without-record", id="a lost log record"),
        pytest.param(torn_record, "record-unreadable", id="a torn log record"),
        pytest.param(lost_version, "record-without-version", id="a log record that nothing leads to"),
        pytest.param(wrong_previous, "chain-broken", id="a record that follows another revision"),
        pytest.param(lost_middle_version, "chain-broken", id="a version lost between two"),
        pytest.param(lost_first_version, "previous-missing", id="the state before a retained record"),
        pytest.param(raised_oldest, "record-left-behind", id="a deletion below the oldest revision"),
        pytest.param(lost_order, "order-missing", id="a commit that wildcard resume would skip"),
        pytest.param(order_without_commit, "order-stray", id="an order entry of no commit"),
        pytest.param(wrong_count, "count-wrong", id="a wrong count"),
        pytest.param(wrong_usage, "usage-wrong", id="wrong log bytes"),
    ],
)
async def test_a_planted_corruption_is_found_by_its_name(
    damage: Damage, plant: Callable[[Damage], None], name: str
) -> None:
    plant(damage)
    assert name in {violation.name for violation in violations(damage.engine)}


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[str]:
    directory = str(tmp_path / "data")
    engine = RocksdbEngine(directory)
    store = Store(engine, 1, lambda: START_US)
    cluster, _ = store.create_cluster("root", [put(f"n{n}", data="x" * 500) for n in range(200)])
    await asyncio.sleep(0)  # the birth is written at the end of this loop turn
    engine.flush()
    store.commit(cluster, [put("in-the-log-file")])
    await store.close()
    yield directory


async def test_a_sound_directory_has_no_violations(directory: str) -> None:
    assert verify(directory) == []


async def test_a_block_that_fails_its_checksum_is_found(directory: str) -> None:
    for path in table_files(directory):
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 3] ^= 0xFF
        path.write_bytes(raw)
    assert "unreadable" in {violation.name for violation in verify(directory)}


async def test_a_missing_table_is_found(directory: str) -> None:
    next(table_files(directory)).unlink()
    assert [violation.name for violation in verify(directory)] == ["unreadable"]


def table_files(directory: str) -> Iterator[Path]:
    return Path(directory).glob("*.sst")
