"""Objects as they were at a revision that the log still covers.

For one key at revision R: its newest version at or below R is in the log. If none is kept there, the present value is
the answer when it is that old; otherwise the first version above R tells: it has no previous revision (nothing was
there) or carries the previous envelope. Compaction and the writer keep this true; see compaction.py.
"""

from collections.abc import Iterator

from kcpshard.api.events import EventType
from kcpshard.storage import commit_log, envelope, keyspace
from kcpshard.storage.commit_log import Record
from kcpshard.storage.contract import KeyValueEngine, PastChange

_PAGE = 64  # versions looked at before jumping to the next object: one seek costs as much as five of them


class PastReads:
    def __init__(self, engine: KeyValueEngine) -> None:
        self._engine = engine
        self._get_object = engine.getter(keyspace.OBJECTS)

    def get(self, key: bytes, revision: int) -> bytes | None:
        """The envelope of that object at `revision`."""
        first, boundary = key + b"\0", keyspace.version_key(key, revision + 1)
        found = self._engine.scan(keyspace.VERSIONS, first, boundary, 1, reverse=True)
        if found:
            record = self._record(*found[0])
            return None if record.type is EventType.DELETED else record.value
        present = self._get_object(key)
        if present is not None and envelope.revision(present) <= revision:
            return present
        later = self._engine.scan(keyspace.VERSIONS, boundary, key + b"\1", 1)
        if not later:
            return None
        record = self._record(*later[0])
        if record.previous_revision and not record.previous:
            raise RuntimeError("a compacted version is recorded nowhere: run kcp shard verify")
        return record.previous or None

    def changes(self, key: bytes, before: int, limit: int) -> list[PastChange]:
        """Of that object, below the revision `before`, newest first."""
        end = keyspace.version_key(key, before)
        found = self._engine.scan(keyspace.VERSIONS, key + b"\0", end, limit, reverse=True)
        return [self._change(int.from_bytes(raw[-8:], "big"), self._record(raw, n)) for raw, n in found]

    def _change(self, revision: int, record: Record) -> PastChange:
        time_us = record.wall_us or revision // 1000
        return PastChange(record.type, revision, time_us, commit_log.author(record), record.value)

    def scan(
        self, start: bytes, end: bytes, revision: int, limit: int, has_deletions: bool
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` objects of the key range at `revision`, in key order; fewer are all.

        `has_deletions`: something in the range may have been deleted after `revision`, so that present keys are not
        all there were.
        """
        found: list[tuple[bytes, bytes]] = []
        while len(found) < limit:
            wanted = limit - len(found)
            present = self._engine.scan(keyspace.OBJECTS, start, end, wanted)
            stop = present[-1][0] + b"\0" if len(present) == wanted else end
            if has_deletions:
                present = self._with_gone(present, start, stop)
            for key, value in present:
                if not value or envelope.revision(value) > revision:
                    value = self.get(key, revision) or b""
                if value:
                    found.append((key, value))
            if stop == end:
                break
            start = stop
        return found[:limit]

    def _with_gone(self, present: list[tuple[bytes, bytes]], start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        """The pairs, and with an empty value the keys between that have versions but no present value."""
        known = {key for key, _ in present}
        gone = [(key, b"") for key in self._keys_with_versions(start, stop) if key not in known]
        return sorted(present + gone) if gone else present

    def _keys_with_versions(self, start: bytes, stop: bytes) -> Iterator[bytes]:
        last = b""
        at = start
        while pairs := self._engine.scan(keyspace.VERSIONS, at, stop, _PAGE):
            for raw, _ in pairs:
                key = raw[:-9]
                if key != last and key >= start:
                    yield key
                last = key
            at = last + b"\1"

    def _record(self, version_key: bytes, n: bytes) -> Record:
        raw = self._engine.get(keyspace.LOG, version_key[:8] + version_key[-8:] + (n or b"\0\0"))
        if raw is None:
            raise RuntimeError("a version has no log record: run kcp shard verify")
        return commit_log.decode(raw)
