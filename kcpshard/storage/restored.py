"""Data of a backup, made ready to be served: nothing before this moment can be resumed or read as the past.

What clients have seen since the backup was made is not in it, and what is written from now on has other revisions than
they know. So every watch, and every list that goes on, must begin anew: the oldest revision of each logical cluster
becomes one that is newer than any that this shard can have given out. Works on a closed directory; needs no keys, as
nothing sealed is opened.
"""

from collections.abc import Callable
from typing import Any

from kcpshard.api.resource_versions import revision_microseconds
from kcpshard.settings import Settings
from kcpshard.storage import clusters, keyspace, sealing
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.object_store import Store

_PAGE = 1024


async def begin_anew(engine: KeyValueEngine, shard: int, now_us: Callable[[], int]) -> int:
    """The new oldest revision. Closes the engine."""
    classes = len(Settings().retention_s)
    # Whatever the clock says: the log goes, and later revisions exceed both it and this moment.
    settings = Settings(retention_s=(0,) * classes, accept_clock=True)
    store = Store(_Heads(engine), shard, now_us, settings)
    try:
        await store.compact(max(now_us(), revision_microseconds(store.durable_revision) + 1))
        return _raise_oldest(engine, classes, max(store.pending_revision, store.durable_revision))
    finally:
        await store.close()


class _Heads:
    """The engine with the heads of sealed log records as if they were not sealed, and the lengths that they had then:
    all that compaction looks at. Everything else is the engine's."""

    def __init__(self, engine: KeyValueEngine) -> None:
        self._engine = engine
        self.sync_waits = engine.sync_waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def get(self, family: str, key: bytes) -> bytes | None:
        value = self._engine.get(family, key)
        return value if value is None or family != keyspace.LOG else sealing.unsealed_head(value)

    def scan(
        self, family: str, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        pairs = self._engine.scan(family, start, end, limit, reverse)
        return pairs if family != keyspace.LOG else [(key, sealing.unsealed_head(value)) for key, value in pairs]


def _raise_oldest(engine: KeyValueEngine, classes: int, revision: int) -> int:
    start, end = keyspace.USAGES, keyspace.after_prefix(keyspace.USAGES)
    while pairs := engine.scan(keyspace.META, start, end, _PAGE):
        batch = engine.batch()
        for key, raw in pairs:
            log_bytes, oldest = clusters.decode_usage(raw, classes, int.from_bytes(key[-8:], "big"))
            batch.put(keyspace.META, key, clusters.encode_usage(log_bytes, [max(each, revision) for each in oldest]))
        engine.write(batch)
        start = pairs[-1][0] + b"\0"
    batch = engine.batch()
    for retention in range(classes):
        mark = keyspace.number(revision) + keyspace.number(revision)
        batch.put(keyspace.META, keyspace.lost_key(retention), mark)
    batch.put(keyspace.META, keyspace.CLOCK_KEY, keyspace.number(revision))
    engine.write(batch)
    engine.sync()
    return revision
