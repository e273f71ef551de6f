from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.format import UnusableFormat
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from tests.contracts.engine_contract import EngineContract
from tests.contracts.store_contract import StoreContract


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
