from collections.abc import Callable

import pytest

from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.memory_engine import MemoryEngine
from tests.contracts.engine_contract import EngineContract
from tests.contracts.store_contract import StoreContract


@pytest.fixture
def engine() -> KeyValueEngine:
    return MemoryEngine()


@pytest.fixture
def reopen(engine: KeyValueEngine) -> Callable[[], KeyValueEngine]:
    return lambda: engine


class TestMemoryEngine(EngineContract):
    def test_there_is_nothing_to_copy(self, engine: KeyValueEngine) -> None:
        with pytest.raises(OSError, match="no files"):
            engine.checkpoint("anywhere")


class TestStoreInMemory(StoreContract):
    pass
