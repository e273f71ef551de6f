import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kcpshard.settings import Settings
from kcpshard.storage.contract import KeyValueEngine, ReadOnly
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.format import UnusableFormat
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import verify
from tests.contracts.engine_contract import EngineContract
from tests.contracts.store_contract import StoreContract, Time, born, durable
from tests.contracts.stored_objects import put, remove


class Opened:
    """Engines on one directory, one after the other; a test that closes its store has closed the engine."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.engine = RocksdbEngine(directory)

    def again(self) -> KeyValueEngine:
        self.engine = RocksdbEngine(self.directory)
        return self.engine


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(str(tmp_path / "data"))


@pytest.fixture
def engine(opened: Opened) -> KeyValueEngine:
    return opened.engine


@pytest.fixture
def reopen(opened: Opened) -> Callable[[], KeyValueEngine]:
    return opened.again


class TestRocksdbEngine(EngineContract):
    @pytest.fixture
    def engine(self, opened: Opened) -> Iterator[KeyValueEngine]:
        yield opened.engine
        opened.engine.close()

    def test_what_was_written_is_there_after_reopening(self, opened: Opened) -> None:
        self.fill(opened.engine, b"a")
        opened.engine.sync()
        opened.engine.close()
        assert opened.again().get("log", b"a") == b"value of a"
        opened.engine.close()

    def test_a_directory_in_use_is_refused_in_a_sentence(self, opened: Opened) -> None:
        with pytest.raises(UnusableFormat, match="is in use by another process"):
            RocksdbEngine(opened.directory)
        opened.engine.close()

    def test_a_damaged_directory_is_refused_in_a_sentence(self, opened: Opened) -> None:
        opened.engine.close()
        for manifest in Path(opened.directory).glob("MANIFEST-*"):
            manifest.write_bytes(b"broken")
        with pytest.raises(UnusableFormat, match="cannot be opened"):
            RocksdbEngine(opened.directory)

    def test_a_checkpoint_opens_as_a_directory(self, opened: Opened, tmp_path: Path) -> None:
        self.fill(opened.engine, b"a")
        opened.engine.checkpoint(str(tmp_path / "copy"))
        self.fill(opened.engine, b"b")
        opened.engine.close()
        copy = RocksdbEngine(str(tmp_path / "copy"))
        assert self.keys(copy, b"", b"z") == [b"a"]
        copy.close()

    def test_reading_only_changes_nothing(self, opened: Opened) -> None:
        self.fill(opened.engine, b"a")
        opened.engine.close()
        before = sorted(path.name for path in Path(opened.directory).iterdir())
        reader = RocksdbEngine(opened.directory, read_only=True)
        assert reader.get("log", b"a") == b"value of a"
        reader.close()
        assert [name for name in before if not (Path(opened.directory) / name).exists()] == []

    def test_free_space_is_known(self, opened: Opened) -> None:
        assert (opened.engine.free_bytes() or 0) > 0
        opened.engine.close()


class TestStoreOnRocksdb(StoreContract):
    pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


SMALL = Settings(write_buffer_bytes=1 << 20, wal_bytes=2 << 20, reserved_bytes=8 << 20, space_check_interval_s=0.0)


async def test_a_full_disk_keeps_room_for_deletions_and_recovers(small_disk: Path) -> None:
    now = Time()
    store = Store(RocksdbEngine(str(small_disk / "data"), SMALL), 1, now, SMALL)
    cluster = await born(store)
    (small_disk / "other").write_bytes(b"\0" * (12 << 20))
    names: list[str] = []
    with pytest.raises(ReadOnly, match="nearly full"):
        for n in range(2000):
            now.us += 1000
            await durable(store.commit(cluster, [put(f"n{n}", data=os.urandom(8192).hex())]).group)
            names.append(f"n{n}")
    for name in names[:20]:
        now.us += 1000
        await durable(store.commit(cluster, [remove(name)]).group)
    assert store.count(cluster, "configmaps") == len(names) - 20 + 1
    (small_disk / "other").unlink()
    now.us += 1_000_000
    await durable(store.commit(cluster, [put("after")]).group)
    await store.close()
    assert verify(str(small_disk / "data")) == []


async def test_a_disk_that_others_filled_refuses_writes_and_reads_on(small_disk: Path) -> None:
    config = replace(SMALL, reserved_bytes=0)  # the reserve would refuse earlier: this is about what RocksDB says
    now = Time()
    store = Store(RocksdbEngine(str(small_disk / "data"), config), 1, now, config)
    cluster = await born(store)
    await durable(store.commit(cluster, [put("kept")]).group)
    with suppress(OSError), (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            other.write(b"\0" * 4096)
    refused = store.commit(cluster, [put("a", data="x" * 50_000)])
    with pytest.raises(ReadOnly, match="No space left"):
        await durable(refused.group)
    assert store.get(cluster, "configmaps", "default", "a") is None
    assert store.get(cluster, "configmaps", "default", "kept") is not None
    (small_disk / "other").unlink()
    before = time.monotonic()
    # RocksDB looks for space every few seconds.
    while time.monotonic() < before + 20:
        now.us += 1_000_000
        with suppress(ReadOnly):
            await durable(store.commit(cluster, [put("a")]).group)
            break
        await asyncio.sleep(0.1)
    assert store.get(cluster, "configmaps", "default", "a") is not None
    await store.close()
    assert verify(str(small_disk / "data")) == []


async def test_a_full_disk_does_not_hinder_the_end_and_takes_nothing_acknowledged(small_disk: Path) -> None:
    config = replace(SMALL, reserved_bytes=0)
    store = Store(RocksdbEngine(str(small_disk / "data"), config), 1, Time(), config)
    cluster = await born(store)
    await durable(store.commit(cluster, [put("kept")]).group)
    with suppress(OSError), (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            other.write(b"\0" * 4096)
    with pytest.raises(ReadOnly, match="No space left"):
        await durable(store.commit(cluster, [put("a", data="x" * 50_000)]).group)
    await store.close()
    (small_disk / "other").unlink()
    again = Store(RocksdbEngine(str(small_disk / "data"), config), 1, Time(), config)
    assert again.get(cluster, "configmaps", "default", "kept") is not None
    assert again.get(cluster, "configmaps", "default", "a") is None
    await again.close()


def damage_tables(directory: str) -> int:
    """Flip one byte in the middle of every large table; returns how many."""
    count = 0
    for table in Path(directory).glob("*.sst"):
        raw = bytearray(table.read_bytes())
        if len(raw) > 100_000:
            raw[len(raw) // 2] ^= 0xFF
            table.write_bytes(raw)
            count += 1
    return count


def test_a_scan_that_meets_a_corrupted_block_fails_instead_of_ending(opened: Opened) -> None:
    batch = opened.engine.batch()
    for n in range(400):
        batch.put("objects", b"k%03d" % n, os.urandom(2000))
    opened.engine.write(batch)
    opened.engine.flush()
    opened.engine.close()
    assert damage_tables(opened.directory) == 1
    engine = opened.again()
    assert len(engine.scan("objects", b"k", b"l", 50)) == 50
    assert len(engine.scan("objects", b"k390", b"l", 50)) == 10
    assert len(engine.scan("objects", b"k390", b"l", 50, reverse=True)) == 10
    assert engine.scan("objects", b"l", b"m", 50) == []
    assert engine.scan("objects", b"l", b"m", 50, reverse=True) == []
    for start, end in ((b"k", b"l"), (b"k150", b"k250")):
        with pytest.raises(Corrupted, match="checksum mismatch"):
            engine.scan("objects", start, end, 400)
        with pytest.raises(Corrupted, match="checksum mismatch"):
            engine.scan("objects", b"k", b"l", 400, reverse=True)
    with pytest.raises(Corrupted, match="checksum mismatch"):
        engine.count("objects", b"k", b"l", 400)
    with pytest.raises(Corrupted, match="checksum mismatch"):
        for n in range(400):
            engine.get("objects", b"k%03d" % n)
    engine.close()


async def test_a_corrupted_block_is_an_error_and_not_an_absence(opened: Opened) -> None:
    now = Time()
    store = Store(opened.engine, 1, now)
    cluster = await born(store, "root", [put(f"n{n:03}", data=os.urandom(500).hex()) for n in range(200)])
    opened.engine.flush()
    path, id_ = opened.directory, cluster.id
    await store.close()
    assert damage_tables(path)
    store = Store(opened.again(), 1, now)
    again = store.find_cluster("root")
    assert again is not None and again.id == id_
    with pytest.raises(Exception, match="checksum mismatch"):
        for n in range(200):
            assert store.get(again, "configmaps", "default", f"n{n:03}") is not None
    await store.close()


def killed(opened: Opened, tmp_path: Path) -> Path:
    """The directory as a process leaves it that died after 40 synced writes: everything is in the log."""
    engine = opened.engine
    for number in range(40):
        batch = engine.batch()
        batch.put("objects", b"key-%03d" % number, b"x" * 5000)
        engine.write(batch)
        engine.sync()
    return Path(shutil.copytree(opened.directory, tmp_path / "killed"))


def keys(engine: RocksdbEngine) -> int:
    return engine.count("objects", b"key-", b"key.", 1000)


def test_a_torn_log_is_whole(opened: Opened, tmp_path: Path) -> None:
    directory = killed(opened, tmp_path)
    (log,) = (path for path in directory.glob("*.log") if path.stat().st_size)
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 3000)
    engine = RocksdbEngine(str(directory))
    assert (keys(engine), engine.log_damage) == (39, "")
    engine.close()


def test_a_log_damaged_before_its_end_is_told(opened: Opened, tmp_path: Path) -> None:
    directory = killed(opened, tmp_path)
    (log,) = (path for path in directory.glob("*.log") if path.stat().st_size)
    with log.open("r+b") as file:
        file.seek(log.stat().st_size // 2)
        file.write(b"damage")
    assert "log-damaged" in {violation.name for violation in verify(str(directory))}
    engine = RocksdbEngine(str(directory))
    assert 10 < keys(engine) < 30 and engine.log_damage
    assert engine.statistics()["log_damaged"] == 1
    engine.close()
