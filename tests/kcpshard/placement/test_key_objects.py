from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest

from kcpshard.placement.key_objects import TYPE, KeyObjects, object_name
from kcpshard.placement.shard_map import KEYS_CLUSTER
from kcpshard.placement.signing_keys import Key, KeyState
from kcpshard.storage.envelope import body
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store

NOW_US = 1_700_000_000_000_000
FIRST = Key("A" * 43, "tokens", b"pub", b"priv", b"", KeyState.SIGNING, 5)
SECOND = Key("B" * 43, "certificates", b"pub2", b"priv2", b"crt", KeyState.ANNOUNCED, 6)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    found = Store(MemoryEngine(), 1, lambda: NOW_US)
    yield found
    await found.close()


async def test_keys_are_secrets(store: Store) -> None:
    objects = KeyObjects(store, lambda: NOW_US)
    assert objects.read() == []
    assert objects.write([FIRST, SECOND]) is not None
    assert sorted(objects.read(), key=lambda key: key.id) == [FIRST, SECOND]
    cluster = store.pending_cluster(KEYS_CLUSTER)
    assert cluster is not None
    value = store.pending(cluster, "secrets", "kube-system", object_name("tokens", FIRST.id))
    assert value is not None
    assert orjson.loads(body(value))["type"] == TYPE


async def test_only_what_differs_is_written(store: Store) -> None:
    objects = KeyObjects(store, lambda: NOW_US)
    objects.write([FIRST, SECOND])
    revision = store.pending_revision
    assert objects.write([SECOND, FIRST]) is None
    assert store.pending_revision == revision
    retired = replace(FIRST, state=KeyState.RETIRED)
    objects.write([retired])
    assert objects.read() == [retired]
