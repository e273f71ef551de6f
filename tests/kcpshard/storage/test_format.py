import json
import tarfile
from pathlib import Path

import pytest

from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.format import UnusableFormat, open_format, read_format
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import verify
from tests.golden.make_format_1 import START_US, contents

GOLDEN = Path(__file__).parents[2] / "golden"


def with_meta(key: bytes, value: bytes) -> KeyValueEngine:
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(keyspace.META, key, value)
    engine.write(batch)
    return engine


async def test_a_directory_of_format_1_shows_what_it_held(tmp_path: Path) -> None:
    with tarfile.open(GOLDEN / "format-1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    directory = str(tmp_path / "data")
    assert verify(directory) == []
    store = Store(RocksdbEngine(directory), 3, lambda: START_US + 600_000_000)
    assert contents(store) == json.loads((GOLDEN / "format-1.json").read_text())
    root = store.find_cluster("root")
    assert root is not None
    assert store.recorded(root, b"0123456789abcdef", START_US + 500_000_000) is not None
    assert store.get_meta(b"owner") == b"\1"
    await store.close()
    assert verify(directory) == []


def test_an_empty_engine_gets_the_present_format() -> None:
    engine = MemoryEngine()
    open_format(engine, 5)
    assert read_format(engine.get(keyspace.META, keyspace.FORMAT_KEY) or b"") == (1, 5)
    open_format(engine, 5)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param(b"format", b'{"format":2,"shard":1}', "has format 2, this release knows up to 1", id="newer"),
        pytest.param(b"format", b'{"format":1,"shard":4}', "belongs to shard 4, not to shard 1", id="another shard's"),
        pytest.param(b"format", b"\0\1", "its format record cannot be read", id="not JSON"),
        pytest.param(b"format", b"[]", "its format record cannot be read", id="another shape"),
        pytest.param(b"path/root", b"", "does not say in which format", id="data without a format"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(key: bytes, value: bytes, sentence: str) -> None:
    with pytest.raises(UnusableFormat, match=sentence):
        open_format(with_meta(key, value), 1)
