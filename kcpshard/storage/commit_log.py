"""What changed at each revision: one record per change, replayed in order.

    operation  retention  code  previous revision  wall time  three sizes  origin  key  value  previous
    1          1          2     8                  8          1 + 2 + 4

`origin` is the request's id (16 bytes, zeros if it had none) followed by its author's name; empty if both are unknown.
`wall time` is 0 where it is the revision's own time. `value` is the envelope of the new state; of a deletion the last
state with the deletion's revision. `previous` is the envelope before: there whenever it could not be found otherwise or
matters to a selector (labels or selectable fields changed; the record that made it is compacted).
"""

import struct
from collections.abc import Container, Iterator
from itertools import groupby
from typing import NamedTuple

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.storage import envelope, keyspace
from kcpshard.storage.contract import KeyValueEngine, RecordedWrite

_HEADER = struct.Struct(">BBHQQBHI")
_SIZE = _HEADER.size
_TYPES = {int(t): t for t in EventType}
_NO_REQUEST = bytes(16)
_MAX_AUTHOR = 255 - len(_NO_REQUEST)
_PAGE = 512  # log records read at once when their number is not known


class Record(NamedTuple):
    type: EventType
    retention: int
    code: int  # HTTP code that the writing request was answered with
    previous_revision: int  # 0: the object did not exist
    wall_us: int
    origin: bytes
    key: bytes  # group resource∕namespace∕name, as in object keys
    value: bytes
    previous: bytes  # empty: not recorded


def encode(
    type_: int,
    retention: int,
    code: int,
    previous_revision: int,
    wall_us: int,
    origin: bytes,
    key: bytes,
    value: bytes,
    previous: bytes,
) -> bytes:
    """`origin` as made by the function of that name."""
    header = _HEADER.pack(type_, retention, code, previous_revision, wall_us, len(origin), len(key), len(value))
    return b"".join((header, origin, key, value, previous))


def origin(request_id: bytes, author: str) -> bytes:
    """Who wrote it, and by which request: at most 255 bytes, so that a very long name is cut."""
    if not author:
        return request_id
    name = author.encode()
    if len(name) > _MAX_AUTHOR:
        name = name[:_MAX_AUTHOR].decode(errors="ignore").encode()
    return (request_id or _NO_REQUEST) + name


def author(record: Record) -> str:
    """The name of whoever made the change; empty if the record does not tell."""
    return record.origin[len(_NO_REQUEST) :].decode()


def decode(raw: bytes) -> Record:
    """Raises ValueError, struct.error or KeyError if it is not a record."""
    type_, retention, code, previous_revision, wall_us, id_size, key_size, value_size = _HEADER.unpack_from(raw)
    key_at = _SIZE + id_size
    value_at = key_at + key_size
    end = value_at + value_size
    if end > len(raw):
        raise ValueError("a log record is shorter than its header says")
    return Record(
        _TYPES[type_], retention, code, previous_revision, wall_us,
        raw[_SIZE:key_at], raw[key_at:value_at], raw[value_at:end], raw[end:],
    )  # fmt: skip


def key_offset(raw: bytes) -> int:
    """Where the object's key begins."""
    return _SIZE + raw[20]


def value_offset(raw: bytes) -> int:
    """Where the value begins; everything before it is needed to find a record, not to read it."""
    return _SIZE + raw[20] + int.from_bytes(raw[21:23], "big")


def change(revision: int, record: Record) -> Change:
    group_resource, namespace, name = record.key.decode().split("\0")
    previous: bytes | None = None
    if record.previous_revision:
        previous = record.previous or envelope.header(record.value, record.previous_revision)
    return Change(record.type, revision, group_resource, namespace, name, record.value, previous)


def retention_of(raw: bytes) -> int:
    return raw[1]


def records(engine: KeyValueEngine, cluster_id: int, revision: int) -> list[tuple[bytes, bytes]]:
    """Keys and undecoded records of one commit, in order."""
    start, end = keyspace.log_key(cluster_id, revision, 0), keyspace.log_key(cluster_id, revision + 1, 0)
    return engine.scan(keyspace.LOG, start, end, keyspace.MAX_CHANGES)


class CommitLog:
    """Reads the log; knows nothing of what is compacted or durable: its callers bound the range."""

    def __init__(self, engine: KeyValueEngine) -> None:
        self._engine = engine

    def since(
        self, cluster_id: int, after: int, upto: int, limit: int, group_resource: str, retention: int
    ) -> list[Commit]:
        """Commits with after < revision ≤ upto, whole, about `limit` log records; see ObjectStore.log."""
        start = keyspace.log_key(cluster_id, after + 1, 0)
        end = keyspace.log_key(cluster_id, upto + 1, 0)
        wanted = group_resource.encode() + b"\0" if group_resource else b""
        pairs = self._engine.scan(keyspace.LOG, start, end, limit)
        is_whole = len(pairs) < limit
        if not is_whole:
            read = int.from_bytes(pairs[-1][0][8:16], "big")
            pairs += self._engine.scan(
                keyspace.LOG, pairs[-1][0] + b"\0", keyspace.log_key(cluster_id, read + 1, 0), keyspace.MAX_CHANGES
            )
        commits = list(_commits(cluster_id, pairs, wanted, retention))
        # One page a call bounds the time; how far it went must be told even if nothing in it was wanted.
        if not is_whole and (not commits or commits[-1].revision < read):
            commits.append(Commit(read, cluster_id, ()))
        return commits

    def since_all(
        self, after: int, upto: int, limit: int, group_resource: str, retention: int, unlisted: Container[int] = ()
    ) -> list[Commit]:
        """The same over all logical clusters but the `unlisted`, by way of `order`."""
        wanted = group_resource.encode() + b"\0" if group_resource else b""
        start, end = keyspace.number(after + 1), keyspace.number(upto + 1)
        pairs = self._engine.scan(keyspace.ORDER, start, end, limit)
        commits: list[Commit] = []
        for key, value in pairs:
            cluster_id = int.from_bytes(value[:8], "big")
            if (retention < 0 or value[8] >> retention & 1) and cluster_id not in unlisted:
                revision = int.from_bytes(key, "big")
                commits += _commits(cluster_id, records(self._engine, cluster_id, revision), wanted, retention)
        if len(pairs) == limit:
            read, cluster_id = int.from_bytes(pairs[-1][0], "big"), int.from_bytes(pairs[-1][1][:8], "big")
            if not commits or commits[-1].revision < read:
                commits.append(Commit(read, cluster_id, ()))
        return commits

    def request(self, cluster_id: int, request_id: bytes, since: int) -> RecordedWrite | None:
        """The first record of the commit that carries this request id, at or above the revision `since`."""
        start, end = keyspace.log_key(cluster_id, since, 0), keyspace.number(cluster_id) + keyspace.END
        size = _SIZE + len(request_id)
        while pairs := self._engine.scan(keyspace.LOG, start, end, _PAGE):
            for key, raw in pairs:
                if raw[_SIZE:size] == request_id and raw[20] >= len(request_id):
                    record = decode(raw)
                    return RecordedWrite(record.code, int.from_bytes(key[8:16], "big"), record.value)
            start = pairs[-1][0] + b"\0"
        return None


def _commits(cluster_id: int, pairs: list[tuple[bytes, bytes]], wanted: bytes, retention: int) -> Iterator[Commit]:
    for raw_revision, group in groupby(pairs, lambda pair: pair[0][8:16]):
        revision = int.from_bytes(raw_revision, "big")
        changes = tuple(change(revision, decode(raw)) for _, raw in group if _is_wanted(raw, wanted, retention))
        if changes:
            yield Commit(revision, cluster_id, changes)


def _is_wanted(raw: bytes, wanted: bytes, retention: int) -> bool:
    if retention >= 0 and raw[1] != retention:
        return False
    return not wanted or raw.startswith(wanted, _SIZE + raw[20])
