"""Re-reads closed data and lists every violated invariant by name.

unreadable               RocksDB cannot read a file, or a block fails its checksum
log-damaged              the write-ahead log is damaged before its end: what follows is not looked at, and lost
format-unusable          meta/format is missing, damaged or newer
key-unreadable           a key is not of its family's shape
path-index-broken        path, name and usage records of a logical cluster do not agree
unknown-cluster          data of an id that no logical cluster has
envelope-damaged         a stored value whose header, JSON and hole do not fit together
object-not-newest        an object differs from its newest logged version
object-missing           the newest version says there is an object, and there is none
object-not-logged        an object newer than the oldest revision has no version
version-without-record   a version leads to no log record of that object
record-unreadable        a log record that cannot be decoded
record-without-version   a log record that no version leads to
chain-broken             a record's previous revision is not the version before it
previous-missing         the version before is compacted and the record does not carry it
order-missing            a record above the oldest revision is not in the shard's order
order-stray              the shard's order names a commit that is not in the log, or is compacted
count-wrong              the number of objects of a type
usage-wrong              the log bytes of a logical cluster
content-wrong            the number of its objects, or their bytes
"""

import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from typing import NamedTuple

from kcpshard.api.events import EventType
from kcpshard.storage import clusters, commit_log, envelope, format, keyspace, owners
from kcpshard.storage.commit_log import Record
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.rocksdb_engine import RocksdbEngine

_PAGE = 1024


class Violation(NamedTuple):
    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


Opened = Callable[[KeyValueEngine], KeyValueEngine]


def verify(directory: str, opened: Opened = lambda engine: engine) -> list[Violation]:
    """The violations in a data directory that no process has open. Changes nothing. `opened` lays over the engine what
    opens sealed values; its exceptions pass."""
    try:
        engine = RocksdbEngine(directory, read_only=True)
    except format.UnusableFormat as error:
        return [Violation("unreadable", str(error))]
    try:
        lost = [Violation("log-damaged", engine.log_damage)] if engine.log_damage else []
        return lost + violations(opened(engine))
    finally:
        engine.close()


def violations(engine: KeyValueEngine) -> list[Violation]:
    check = _Check(engine)
    found: list[Violation] = []
    for step in (check.meta, check.objects, check.versions, check.log, check.order, check.totals):
        try:
            found += step()
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more special for a failed checksum
            found.append(Violation("unreadable", f"{step.__name__}: {error}"))
    return found


class _Check:
    def __init__(self, engine: KeyValueEngine) -> None:
        self._engine = engine
        self._oldest: dict[int, list[int]] = {}  # by logical cluster
        self._usage: dict[int, int] = {}
        self._contents: dict[int, tuple[int, int]] = {}  # objects and their bytes, as written
        self._found: dict[int, tuple[int, int]] = {}  # and as they are
        self._counts: Counter[bytes] = Counter()
        self._counted: Counter[bytes] = Counter()
        self._bytes: Counter[int] = Counter()
        self._dead: set[int] = set()  # being cleared: whatever is left of them is as it may be
        self._owners: set[bytes] = set()  # index entries that no object has been found for
        self._forks: set[int] = set()  # they show, and count, more than they hold
        self._passing: set[int] = set()  # ids that are nobody's: copied here and not complete, or gone and not removed

    def meta(self) -> Iterator[Violation]:
        raw = self._engine.get(keyspace.META, keyspace.FORMAT_KEY)
        try:
            if format.read_format(raw or b"")[0] > format.FORMAT:
                yield Violation("format-unusable", "a newer release wrote this directory")
        except format.UnusableFormat as error:
            yield Violation("format-unusable", str(error))
        paths: dict[int, str] = {}
        names: dict[int, str] = {}
        start = keyspace.DEAD
        while pairs := self._engine.scan(keyspace.META, start, keyspace.after_prefix(keyspace.DEAD), _PAGE):
            self._dead.update(int.from_bytes(key[-8:], "big") for key, _ in pairs)
            start = pairs[-1][0] + b"\0"
        for key, value in self._pairs(keyspace.META):
            if self._dead and _is_of(key, self._dead):
                continue
            if key.startswith(keyspace.PATHS):
                paths[clusters.decode_path(value)[0]] = key[len(keyspace.PATHS) :].decode()
            elif key.startswith(keyspace.NAMES):
                names[int.from_bytes(key[-8:], "big")] = value.decode()
            elif key.startswith(keyspace.USAGES):
                id_ = int.from_bytes(key[-8:], "big")
                self._usage[id_], self._oldest[id_] = clusters.decode_usage(value, len(value) // 8 - 1, id_)
            elif key.startswith(keyspace.CONTENTS):
                self._contents[int.from_bytes(key[-8:], "big")] = clusters.decode_content(value)
            elif key.startswith(keyspace.TYPES):
                self._counts[key] = int.from_bytes(value, "big")
            elif key.startswith(keyspace.OWNERS):
                self._owners.add(key)
            elif key.startswith(keyspace.FORKS):
                self._forks.add(int.from_bytes(key[-8:], "big"))
            elif key.startswith((keyspace.ARRIVING, keyspace.DEPARTED)):
                self._passing.add(int.from_bytes(key[-8:], "big"))
            elif not key.startswith((keyspace.LOST, keyspace.OWN, keyspace.REMOVED)) and key not in (
                keyspace.FORMAT_KEY,
                keyspace.CLOCK_KEY,
            ):
                yield Violation("key-unreadable", f"meta {key!r}")
        self._owners = {key for key in self._owners if _owner_id(key) not in self._passing}
        for id_ in paths.keys() | names.keys() | self._usage.keys():
            if not (paths.get(id_) == names.get(id_) and id_ in self._usage and id_ in paths):
                yield Violation("path-index-broken", f"{paths.get(id_) or names.get(id_) or id_}")

    def objects(self) -> Iterator[Violation]:
        for key, value in self._pairs(keyspace.OBJECTS):
            try:
                id_, group_resource, _, _ = keyspace.decode_object_key(key)
            except ValueError:
                yield Violation("key-unreadable", f"objects {key!r}")
                continue
            if id_ not in self._usage:
                if id_ not in self._passing:
                    yield Violation("unknown-cluster", _shown(key))
                continue
            self._counted[keyspace.count_key(group_resource, key[:8])] += 1
            objects, size = self._found.get(id_, (0, 0))
            self._found[id_] = (objects + 1, size + len(value))
            faults = envelope.faults(value)
            for fault in faults:
                yield Violation("envelope-damaged", f"{_shown(key)}: {fault}")
            if not faults:
                yield from self._owned(key, value, id_)
                yield from self._object(key, value, id_)

    def _owned(self, key: bytes, value: bytes, id_: int) -> Iterator[Violation]:
        for uid in owners.owner_uids(envelope.body(value)):
            entry = owners.key(id_, uid, key[8:])
            if entry not in self._owners:
                yield Violation("owner-not-indexed", f"{_shown(key)}: {uid}")
            self._owners.discard(entry)

    def _object(self, key: bytes, value: bytes, id_: int) -> Iterator[Violation]:
        revision = envelope.revision(value)
        newest = self._engine.scan(keyspace.VERSIONS, key + b"\0", key + b"\1", 1, reverse=True)
        if not newest:
            # Which class the type has is not stored; the class that remembers longest decides.
            if revision > max(self._oldest[id_]):
                yield Violation("object-not-logged", _shown(key))
            return
        raw = self._record_of(*newest[0])
        if raw is not None and commit_log.decode(raw).value != value:
            yield Violation("object-not-newest", _shown(key))

    def versions(self) -> Iterator[Violation]:
        for key, group in groupby(self._pairs(keyspace.VERSIONS), lambda pair: pair[0][:-9]):
            if len(key) < 8 or key.count(b"\0", 8) != 2:
                yield Violation("key-unreadable", f"versions {key!r}")
                continue
            if int.from_bytes(key[:8], "big") in self._passing:
                continue
            before: Record | None = None
            before_revision = 0
            for version, n in group:
                raw = self._record_of(version, n)
                record = _decoded(raw) if raw is not None else None
                revision = int.from_bytes(version[-8:], "big")
                if record is None or record.key != key[8:]:
                    yield Violation("version-without-record", f"{_shown(key)} at {revision}")
                    continue
                oldest = self._oldest.get(int.from_bytes(key[:8], "big"), [])
                is_readable = record.retention < len(oldest) and revision > oldest[record.retention]
                yield from _chain(key, revision, record, before, before_revision, is_readable)
                before, before_revision = record, revision
            is_there = before is not None and before.type is not EventType.DELETED
            if is_there and self._engine.get(keyspace.OBJECTS, key) is None:
                yield Violation("object-missing", _shown(key))

    def log(self) -> Iterator[Violation]:
        for key, raw in self._pairs(keyspace.LOG):
            if len(key) != 18:
                yield Violation("key-unreadable", f"log {key!r}")
                continue
            id_, revision, _ = keyspace.decode_log_key(key)
            if id_ not in self._usage:
                if id_ not in self._passing:
                    yield Violation("unknown-cluster", f"log record {revision} of {id_}")
                continue
            self._bytes[id_] += len(raw)
            record = _decoded(raw)
            if record is None:
                yield Violation("record-unreadable", f"{revision} of {id_}")
                continue
            for fault in envelope.faults(record.value):
                yield Violation("envelope-damaged", f"log record {revision} of {id_}: {fault}")
            if self._engine.get(keyspace.VERSIONS, keyspace.version_key(key[:8] + record.key, revision)) is None:
                yield Violation("record-without-version", f"{_shown(key[:8] + record.key)} at {revision}")
            if revision <= self._oldest[id_][record.retention]:
                if record.type is EventType.DELETED:
                    yield Violation("record-left-behind", f"{_shown(key[:8] + record.key)} at {revision}")
            else:
                order = self._engine.get(keyspace.ORDER, key[8:16])
                if order is None or order[:8] != key[:8] or not order[8] >> record.retention & 1:
                    yield Violation("order-missing", f"{revision} of {id_}")

    def order(self) -> Iterator[Violation]:
        for key, value in self._pairs(keyspace.ORDER):
            if len(key) != 8 or len(value) != 9:
                yield Violation("key-unreadable", f"order {key!r}")
                continue
            id_, revision, bits = int.from_bytes(value[:8], "big"), int.from_bytes(key, "big"), value[8]
            if id_ in self._passing:
                continue
            records = commit_log.records(self._engine, id_, revision)
            oldest = self._oldest.get(id_, [])
            logged = {commit_log.retention_of(raw) for _, raw in records}
            named = {retention for retention in range(8) if bits >> retention & 1}
            if not named <= {r for r in logged if r < len(oldest) and oldest[r] < revision}:
                yield Violation("order-stray", f"{revision} of {id_}")

    def totals(self) -> Iterator[Violation]:
        for key in self._counts.keys() | self._counted.keys():
            if self._counts[key] != self._counted[key] and int.from_bytes(key[-8:], "big") not in self._forks:
                text = key[len(keyspace.TYPES) : -9].decode(errors="replace")
                id_ = int.from_bytes(key[-8:], "big")
                yield Violation("count-wrong", f"{text} of {id_}: {self._counts[key]}, found {self._counted[key]}")
        for entry in self._owners:
            yield Violation("owner-index-stray", repr(entry))
        for id_, content in self._contents.items():
            if content != self._found.get(id_, (0, 0)) and id_ not in self._forks:
                yield Violation("content-wrong", f"{id_}: {content} objects and bytes, found {self._found.get(id_)}")
        for id_, size in self._usage.items():
            if size != self._bytes[id_]:
                yield Violation("usage-wrong", f"{id_}: {size} bytes, found {self._bytes[id_]}")

    def _pairs(self, family: str) -> Iterator[tuple[bytes, bytes]]:
        start = b""
        while pairs := self._engine.scan(family, start, keyspace.END, _PAGE):
            if self._dead and family != keyspace.META:
                place = 1 if family == keyspace.ORDER else 0
                yield from (pair for pair in pairs if int.from_bytes(pair[place][:8], "big") not in self._dead)
            else:
                yield from pairs
            start = pairs[-1][0] + b"\0"

    def _record_of(self, version: bytes, n: bytes) -> bytes | None:
        return self._engine.get(keyspace.LOG, version[:8] + version[-8:] + (n or b"\0\0"))


def _chain(
    key: bytes, revision: int, record: Record, before: Record | None, before_revision: int, is_readable: bool
) -> Iterator[Violation]:
    """How a record joins the version kept before it. `is_readable`: a read may ask for the state just before it."""
    where = f"{_shown(key)} at {revision}"
    if before is not None:
        expected = 0 if before.type is EventType.DELETED else before_revision
        if record.previous_revision != expected:
            yield Violation("chain-broken", f"{where}: follows {record.previous_revision}, kept is {before_revision}")
    elif is_readable and record.previous_revision and not record.previous:
        yield Violation("previous-missing", where)
    if record.previous and envelope.revision(record.previous) != record.previous_revision:
        yield Violation("chain-broken", f"{where}: carries another version than the one it follows")
    if (record.type is EventType.ADDED) != (record.previous_revision == 0):
        yield Violation("chain-broken", f"{where}: {record.type.name} after {record.previous_revision}")


def _owner_id(key: bytes) -> int:
    start = len(keyspace.OWNERS)
    return int.from_bytes(key[start : start + 8], "big")


def _decoded(raw: bytes) -> Record | None:
    try:
        return commit_log.decode(raw)
    except (ValueError, KeyError, struct.error):
        return None


_BEHIND = (keyspace.NAMES, keyspace.USAGES, keyspace.CONTENTS, keyspace.OWNERS, keyspace.REMOVED, keyspace.DEAD)


def _is_of(key: bytes, clusters: Collection[int]) -> bool:
    """Whether a key of the meta family belongs to one of these logical clusters."""
    if key.startswith(keyspace.TYPES):
        return int.from_bytes(key[-8:], "big") in clusters
    found = next((prefix for prefix in _BEHIND if key.startswith(prefix)), None)
    return found is not None and int.from_bytes(key[len(found) : len(found) + 8], "big") in clusters


def _shown(key: bytes) -> str:
    return f"{int.from_bytes(key[:8], 'big')}/" + key[8:].decode(errors="replace").replace("\0", "/")
