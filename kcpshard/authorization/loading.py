"""Reads what authorisers judge by, in slices: one with very many objects is read before the first answer, and whoever
asks meanwhile is told to ask again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, ReadOnly, ScanItem

_SLICE = 128  # objects compiled in one go: about a millisecond
Put = Callable[[str, str, str, Mapping[str, Any] | None], None]  # group resource, namespace, name, the object


class Source(Protocol):
    """What is read; the ObjectStore is one."""

    def pending_cluster(self, path: str) -> LogicalCluster | None: ...
    def scan_own(
        self, cluster: LogicalCluster, group_resource: str, after: tuple[str, str] | None, limit: int
    ) -> Sequence[ScanItem]: ...
    def pending_own(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None: ...
    def is_removed(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bool: ...
    def follow_writes(
        self,
        group_resources: frozenset[str],
        accepted: Callable[[LogicalCluster, str, str, str], None],
        undone: Callable[[LogicalCluster], None],
    ) -> None: ...


class Loading:
    """All objects of some types on their way to `put`: a Group to whoever waits for them
    (`storage.contract.NotDurable`)."""

    def __init__(self, source: Source, cluster: LogicalCluster, types: Iterable[str], put: Put) -> None:
        self._source, self._cluster, self._put = source, cluster, put
        self._types = sorted(types)
        self._after: tuple[str, str] | None = None
        self._waiting: list[Callable[[], None]] = []

    def read(self) -> bool:
        """One slice; whether that was all."""
        left = _SLICE
        while self._types and left > 0:
            group_resource = self._types[-1]
            items = self._source.scan_own(self._cluster, group_resource, self._after, left)
            for item in items:
                obj = orjson.loads(envelope.body(item.value))
                self._put(group_resource, item.namespace, item.name, obj)
            if len(items) < left:
                self._types.pop()
                self._after = None
            else:
                self._after = (items[-1].namespace, items[-1].name)
            left -= len(items)
        return not self._types

    def go_on(self) -> None:
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        if not self.read():
            self.go_on()
            return
        for callback in self._waiting:
            callback()
        self._waiting.clear()

    def when_durable(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        """Never."""


class Kept:
    """What is compiled of some types of one logical cluster by `put`: on its way or in force, and the places in which
    it is behind. Whoever is told of writes notes those in `stale`."""

    __slots__ = ("_put", "loading", "stale")

    def __init__(self, put: Put) -> None:
        self._put = put
        self.loading: Loading | None = None
        self.stale: dict[tuple[str, str, str], None] = {}  # group resource, namespace, name

    def load(self, source: Source, cluster: LogicalCluster, types: Iterable[str], whole: Callable[[], None]) -> None:
        """Read everything; `whole` is called when that is done, in this turn if it is little."""
        loading = Loading(source, cluster, types, self._put)
        if loading.read():
            whole()
            return
        self.loading = loading
        loading.when_durable(lambda: setattr(self, "loading", None))
        loading.when_durable(whole)
        loading.go_on()

    def catch_up(self, source: Source, cluster: LogicalCluster) -> None:
        """Raises NotDurable while it is being read."""
        if self.loading is not None:
            raise NotDurable(self.loading)
        stale, self.stale = self.stale, {}
        for place in stale:
            value = source.pending_own(cluster, *place)
            self._put(*place, None if value is None else orjson.loads(envelope.body(value)))
