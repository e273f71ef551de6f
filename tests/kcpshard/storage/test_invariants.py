import pytest

from kcpshard.storage.contract import Put, Remove
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from tests.contracts.store_contract import START_US, born
from tests.contracts.stored_objects import put, remove

SOUND = put("a")


@pytest.mark.parametrize(
    ("writes", "breach"),
    [
        pytest.param([], "without writes", id="nothing"),
        pytest.param([SOUND, SOUND], "two writes of one object", id="one object twice"),
        pytest.param([SOUND._replace(name="a\0b")], "NUL in the key", id="a name with NUL"),
        pytest.param([SOUND._replace(hole=SOUND.hole + 1)], "the hole is not where", id="a hole beside the mark"),
        pytest.param([remove("absent")], "which is not there", id="a deletion of nothing"),
    ],
)
async def test_a_broken_promise_is_caught(writes: list[Put | Remove], breach: str) -> None:
    store = Store(MemoryEngine(), 1, lambda: START_US)
    cluster = await born(store)
    with pytest.raises(AssertionError, match=breach):
        store.commit(cluster, writes)
