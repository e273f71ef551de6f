"""The copy of a logical cluster that moves to this shard, until it is complete; on disk at each step.

    objects, as they are while their old shard serves ──► the log, from its beginning ──► what was written meanwhile

An object is copied at some revision; what the log says of it later is applied where it is newer. So the copy is exact
once the log is copied up to the revision at which the old shard has sealed the logical cluster, wherever the copying of
objects met it. Index of owners, versions, order and counts follow from what is copied. Each page and the record of how
far the copy has come are one batch: after a crash it goes on there. Nobody reads the range before `complete`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import orjson

from kcpshard.api.events import EventType
from kcpshard.storage import commit_log, keyspace, owners
from kcpshard.storage.cluster_pages import Pair
from kcpshard.storage.commit_log import Record
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.envelope import body
from kcpshard.storage.writer import WriteGroup, Writer


class Inexact(Exception):
    """The copy is not what the old shard has; it must be made anew."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy has come; the durable record."""

    path: str
    cluster_id: int
    epoch: int  # of the move
    source: int  # the old shard
    base: int  # objects were copied at this revision or later
    oldest: tuple[int, ...]  # per retention class, at the beginning
    objects_after: str = ""  # hex of the last key copied
    has_objects: bool = False  # all of them
    records_after: str = ""
    log_bytes: int = 0
    objects: int = 0
    stored_bytes: int = 0
    is_sealing: bool = False  # the old shard may have given it up: there is no way back
    counts: Mapping[str, int] = field(default_factory=dict)  # by group resource

    def encode(self) -> bytes:
        return orjson.dumps(asdict(self))


class Summary(NamedTuple):
    """What the old shard says of the logical cluster when nothing more is written there."""

    state: str
    revision: int  # of the shard: nothing that anybody was told is newer
    oldest: Sequence[int]
    log_bytes: int
    objects: int
    stored_bytes: int
    removed: Mapping[str, int]  # see template.py: the object's text → revision


def decode_progress(raw: bytes) -> Progress:
    document = orjson.loads(raw)
    return Progress(**{**document, "oldest": tuple(document["oldest"])})


class Arrival:
    """Takes pages in order. `progress` is accepted, not always durable yet."""

    def __init__(self, engine: KeyValueEngine, writer: Writer, progress: Progress) -> None:
        self._engine, self._writer = engine, writer
        self.progress = progress
        self._prefix = keyspace.number(progress.cluster_id)

    def begin(self) -> WriteGroup:
        """The range must be empty."""
        return self._write(self._writer.gather(), self.progress)

    def take_objects(self, pairs: Sequence[Pair], is_last: bool) -> WriteGroup:
        group, step = self._open()
        for text, value in pairs:
            step.put_object(self._prefix + text, text, None, value)
        after = pairs[-1][0].hex() if pairs else self.progress.objects_after
        return self._close(group, step, objects_after=after, has_objects=is_last)

    def take_records(self, pairs: Sequence[Pair]) -> WriteGroup:
        group, step = self._open()
        for key, raw in pairs:
            record = commit_log.decode(raw)
            revision = int.from_bytes(key[:8], "big")
            step.put_record(key, raw, record)
            if revision > self.progress.base:
                step.apply(record, revision)
        step.put_order()
        after = pairs[-1][0].hex() if pairs else self.progress.records_after
        return self._close(group, step, records_after=after)

    def begin_sealing(self) -> WriteGroup:
        group, step = self._open()
        return self._close(group, step, is_sealing=True)

    def check(self, summary: Summary) -> None:
        """Raises Inexact."""
        ours = self.progress
        copied = (tuple(ours.oldest), ours.log_bytes, ours.objects, ours.stored_bytes)
        theirs = (tuple(summary.oldest), summary.log_bytes, summary.objects, summary.stored_bytes)
        if copied != theirs:
            raise Inexact(f"oldest revisions, bytes of the log, objects, their bytes: copied {copied}, there {theirs}")

    def complete(self, group: WriteGroup, removed: Mapping[str, int]) -> None:
        """Its counts and what the template does not show, in the batch that makes it one of this shard's."""
        put = self._writer.put_meta
        for group_resource, count in self.progress.counts.items():
            if count:
                put(group, keyspace.count_key(group_resource, self._prefix), keyspace.number(count))
        for text, revision in removed.items():
            put(group, keyspace.REMOVED + self._prefix + text.encode(), keyspace.number(revision))
        put(group, keyspace.arriving_key(self.progress.cluster_id), None)

    # --- one page

    def _open(self) -> "tuple[WriteGroup, _Step]":
        self._writer.write_now()  # a page is a batch of its own, and reads what the one before has written
        group = self._writer.gather()
        return group, _Step(self._engine, self._writer, group, self._prefix, self.progress)

    def _close(self, group: WriteGroup, step: "_Step", **changes: object) -> WriteGroup:
        before = self.progress
        counts = {name: before.counts.get(name, 0) + n for name, n in step.counts.items()}
        after = replace(
            before,
            log_bytes=before.log_bytes + step.log_bytes,
            objects=before.objects + sum(step.counts.values()),
            stored_bytes=before.stored_bytes + step.stored_bytes,
            counts={**before.counts, **counts},
            **changes,  # type: ignore[arg-type]
        )
        return self._write(group, after)

    def _write(self, group: WriteGroup, after: Progress) -> WriteGroup:
        self._writer.put_meta(group, keyspace.arriving_key(after.cluster_id), after.encode())
        self._writer.write_now()
        if group.refusal is None:
            self.progress = after
        return group


class _Step:
    """What one page adds to the batch."""

    def __init__(
        self, engine: KeyValueEngine, writer: Writer, group: WriteGroup, prefix: bytes, progress: Progress
    ) -> None:
        self._engine, self._writer, self._group, self._prefix = engine, writer, group, prefix
        self._oldest = progress.oldest
        self._objects: dict[bytes, bytes | None] = {}  # as of this page
        self._order: dict[bytes, int] = {}  # revision → classes, as bits
        self.counts: dict[str, int] = {}
        self.log_bytes = self.stored_bytes = 0

    def put_object(self, key: bytes, text: bytes, previous: bytes | None, value: bytes) -> None:
        self._group.batch.put(keyspace.OBJECTS, key, value)
        self._objects[key] = value
        self.stored_bytes += len(value) - len(previous or b"")
        if previous is None:
            self._count(text, 1)
        self._index(text, previous, value)

    def put_record(self, key: bytes, raw: bytes, record: Record) -> None:
        batch = self._group.batch
        batch.put(keyspace.LOG, self._prefix + key, raw)
        n = key[8:]
        version = self._prefix + record.key + b"\0" + key[:8]
        batch.put(keyspace.VERSIONS, version, n if any(n) else b"")
        self.log_bytes += len(raw)
        if int.from_bytes(key[:8], "big") > self._oldest[record.retention]:
            self._order[key[:8]] = self._order.get(key[:8], 0) | 1 << record.retention

    def put_order(self) -> None:
        for raw_revision, bits in self._order.items():
            known = self._engine.get(keyspace.ORDER, raw_revision)  # a commit may have begun in the page before
            if known is not None:
                bits |= known[8]
            self._group.batch.put(keyspace.ORDER, raw_revision, self._prefix + bytes((bits,)))

    def apply(self, record: Record, revision: int) -> None:
        """What the record did to its object, unless the object was copied later."""
        key = self._prefix + record.key
        previous = self._objects[key] if key in self._objects else self._engine.get(keyspace.OBJECTS, key)
        if previous is not None and int.from_bytes(previous[:8], "big") >= revision:
            return
        if record.type is not EventType.DELETED:
            self.put_object(key, record.key, previous, record.value)
        elif previous is not None:
            self._group.batch.delete(keyspace.OBJECTS, key)
            self._objects[key] = None
            self.stored_bytes -= len(previous)
            self._count(record.key, -1)
            self._index(record.key, previous, None)

    def _count(self, text: bytes, step: int) -> None:
        name = text[: text.index(b"\0")].decode()
        self.counts[name] = self.counts.get(name, 0) + step

    def _index(self, text: bytes, previous: bytes | None, value: bytes | None) -> None:
        old, new = _owners(previous), _owners(value)
        cluster_id = int.from_bytes(self._prefix, "big")
        for uid in old - new:
            self._writer.put_meta(self._group, owners.key(cluster_id, uid, text), None)
        for uid in new - old:
            self._writer.put_meta(self._group, owners.key(cluster_id, uid, text), b"")


def _owners(value: bytes | None) -> frozenset[str]:
    if value is None or owners.MARK not in value:
        return frozenset()
    return owners.owner_uids(body(value))
