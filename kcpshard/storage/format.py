"""meta/format: which layout a data directory has. A newer one is refused, an older one migrated (there is none yet)."""

import orjson

from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine

FORMAT = 1


class UnusableFormat(Exception):
    """This data cannot be served; the text is one sentence for the operator."""


def open_format(engine: KeyValueEngine, shard: int) -> None:
    """Check the format, writing it into an empty engine. Durable with the first sync, as everything that follows."""
    raw = engine.get(keyspace.META, keyspace.FORMAT_KEY)
    if raw is None:
        if any(engine.scan(family, b"", keyspace.END, 1) for family in keyspace.FAMILIES):
            raise UnusableFormat("the data directory is damaged: it holds data but does not say in which format")
        batch = engine.batch()
        batch.put(keyspace.META, keyspace.FORMAT_KEY, orjson.dumps({"format": FORMAT, "shard": shard}))
        engine.write(batch)
        return
    stored_format, stored_shard = read_format(raw)
    if stored_format > FORMAT:
        raise UnusableFormat(
            f"the data directory has format {stored_format}, this release knows up to {FORMAT}: use a newer release"
        )
    if stored_shard != shard:
        raise UnusableFormat(f"the data directory belongs to shard {stored_shard}, not to shard {shard}")


def read_format(raw: bytes) -> tuple[int, int]:
    """Format and shard number. Raises UnusableFormat if it cannot be read."""
    try:
        match orjson.loads(raw):
            case {"format": int(stored_format), "shard": int(shard)}:
                return stored_format, shard
    except orjson.JSONDecodeError:
        pass
    raise UnusableFormat("the data directory is damaged: its format record cannot be read")
