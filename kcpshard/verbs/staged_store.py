"""A store whose commits are only gathered: what several verbs write becomes one commit, or none.

Each verb decides against the store beneath and everything gathered before it, as if that had been committed; nothing
outside sees any of it. `writes` is then what one commit has to do: of each place the last word. Decides; no I/O.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore, PendingCommit, Put, Remove, ScanItem

# Stands for the revision of a commit that is only proposed; longer-lived than any real one.
FUTURE_REVISION = 9_199_999_999_999_999_999
FUTURE_TEXT = str(FUTURE_REVISION).encode()

Place = tuple[str, str, str]  # group resource, namespace, name


class _NoGroup:
    """Nobody may wait for what is only gathered."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        raise AssertionError("what is gathered is not durable before it is committed")

    def when_refused(self, callback: Callable[[Any], None]) -> None:
        raise AssertionError("what is gathered is not durable before it is committed")


class StagedStore:
    """Of one logical cluster. What is not here is asked of the store beneath."""

    def __init__(self, store: ObjectStore, cluster: LogicalCluster) -> None:
        self._store, self._cluster = store, cluster
        self._values: dict[Place, bytes | None] = {}  # the envelope as it would be; None: deleted
        self._writes: dict[Place, Put | Remove] = {}
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @property
    def writes(self) -> list[Put | Remove]:
        """What is left to do: something made and deleted again is nothing at all."""
        return [
            write
            for place, write in self._writes.items()
            if type(write) is Put or self._store.pending(self._cluster, *place) is not None
        ]

    def commit(
        self,
        cluster: LogicalCluster,
        writes: Sequence[Put | Remove],
        request_id: bytes = b"",
        code: int = 0,
        author: str = "",
    ) -> PendingCommit:
        assert cluster is self._cluster, "a transaction writes to one logical cluster"
        self.commits += 1
        values = []
        for write in writes:
            place = (write.group_resource, write.namespace, write.name)
            value = _value(write) if type(write) is Put else None
            self._writes[place], self._values[place] = write, value
            values.append(value or b"")
        return PendingCommit(FUTURE_REVISION, values, _NoGroup())

    # --- what verbs, admission and authorisation read

    def pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        place = (group_resource, namespace, name)
        if place in self._values:
            return self._values[place]
        return self._store.pending(cluster, group_resource, namespace, name)

    def pending_own(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        place = (group_resource, namespace, name)
        if place in self._values:
            return self._values[place]
        return self._store.pending_own(cluster, group_resource, namespace, name)

    def get(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        """Raises NotDurable for what is pending beneath."""
        place = (group_resource, namespace, name)
        if place in self._values:
            return self._values[place]
        return self._store.get(cluster, group_resource, namespace, name)

    def scan_pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, limit: int) -> list[bytes]:
        staged = self._staged(group_resource, namespace)
        beneath = self._store.scan_pending(cluster, group_resource, namespace, limit)
        if not staged:
            return beneath
        found = {_place_of(value): value for value in beneath}
        for place, value in staged.items():
            found.pop(place, None)
            if value is not None:
                found[place] = value
        return [found[place] for place in sorted(found)]

    def scan_own(
        self, cluster: LogicalCluster, group_resource: str, after: tuple[str, str] | None, limit: int
    ) -> list[ScanItem]:
        staged = {
            place: value for place, value in self._staged(group_resource, "").items() if not after or place > after
        }
        found = {item[:2]: item for item in self._store.scan_own(cluster, group_resource, after, limit + len(staged))}
        for place, value in staged.items():
            found.pop(place, None)
            if value is not None:
                found[place] = ScanItem(*place, value)
        return [found[place] for place in sorted(found)][:limit]

    def count(self, cluster: LogicalCluster, group_resource: str) -> int:
        added = 0
        for (namespace, name), value in self._staged(group_resource, "").items():
            was = self._store.pending(cluster, group_resource, namespace, name) is not None
            added += (value is not None) - was
        return self._store.count(cluster, group_resource) + added

    def _staged(self, group_resource: str, namespace: str) -> dict[tuple[str, str], bytes | None]:
        return {
            (place[1], place[2]): value
            for place, value in self._values.items()
            if place[0] == group_resource and (not namespace or place[1] == namespace)
        }


def _value(put: Put) -> bytes:
    """As the writer would store it, but for what only the writer knows."""
    return envelope.encode(
        put.json, put.hole, put.annotations, FUTURE_REVISION, FUTURE_REVISION, put.uid, put.api_version,
        envelope.encode_pairs(put.labels), envelope.encode_pairs(put.fields), put.fingerprint,
    )  # fmt: skip


def _place_of(value: bytes) -> tuple[str, str]:
    meta = orjson.loads(envelope.body(value))["metadata"]
    return meta.get("namespace", ""), meta["name"]
