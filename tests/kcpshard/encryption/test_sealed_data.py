from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kcpshard.encryption.configuration import ConfigurationError
from kcpshard.encryption.sealed_data import SealedWithoutConfiguration, open_sealed
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from tests.contracts.stored_objects import put
from tests.kcpshard.encryption.conftest import aesgcm, document

Write = Callable[[dict[str, Any]], str]


def test_without_a_configuration_nothing_is_laid_over_the_engine() -> None:
    assert open_sealed(MemoryEngine(), "", 1, 0) is None


def test_sealed_data_needs_its_configuration(write_configuration: Write) -> None:
    engine = MemoryEngine()
    found = open_sealed(engine, write_configuration(document((["secrets"], [aesgcm("a")]))), 1, 0)
    assert found is not None and found.engine.inner is engine
    with pytest.raises(SealedWithoutConfiguration, match="--encryption-provider-config"):
        open_sealed(engine, "", 1, 0)


def test_a_broken_configuration_is_told(write_configuration: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"encryption.yaml: resources"):
        open_sealed(MemoryEngine(), write_configuration(document()), 1, 0)


@pytest.mark.parametrize("is_sealed", [True, False])
async def test_files_and_checkpoints_hold_no_secret(
    tmp_path: Path, write_configuration: Write, is_sealed: bool
) -> None:
    """The unsealed run shows that the search would find it."""
    engine: KeyValueEngine = RocksdbEngine(str(tmp_path / "data"))
    if is_sealed:
        found = open_sealed(engine, write_configuration(document((["secrets"], [aesgcm("a")]))), 1, 0)
        assert found is not None
        engine = found.engine
    store = Store(engine, 1, lambda: 1_800_000_000_000_000)
    cluster, _ = store.create_cluster("root", [put("a", group_resource="secrets", data="WELL-HIDDEN-1")])
    store.commit(cluster, [put("a", group_resource="secrets", data="WELL-HIDDEN-2")])
    store.commit(cluster, [put("a", group_resource="configmaps", data="OPEN-TO-SEE")])
    await store._writer.drain()
    engine.checkpoint(str(tmp_path / "copy"))
    engine.flush()
    await store.close()
    for directory in ("data", "copy"):
        content = b"".join(path.read_bytes() for path in (tmp_path / directory).rglob("*") if path.is_file())
        assert (b"WELL-HIDDEN" in content) is not is_sealed, directory
        assert b"OPEN-TO-SEE" in content
