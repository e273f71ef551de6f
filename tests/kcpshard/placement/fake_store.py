"""The part of ObjectStore that placement uses, with durability in the test's hands."""

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import ReadOnly


class FakeGroup:
    def __init__(self) -> None:
        self.durable = False
        self._callbacks: list[Callable[[], None]] = []
        self._refusals: list[Callable[[ReadOnly], None]] = []

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        self._refusals.append(callback)

    def refuse(self, cause: ReadOnly) -> None:
        for callback in self._refusals:
            callback(cause)

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.durable:
            callback()
        else:
            self._callbacks.append(callback)

    def sync(self) -> None:
        self.durable = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class FakeStore:
    """`sync` makes durable what was accepted, in order; `crash` gives the store after a power cut."""

    def __init__(self, disk: dict[bytes, bytes] | None = None, born: dict[str, int] | None = None) -> None:
        self.disk = disk if disk is not None else {}
        self.born = born if born is not None else {}  # durable logical clusters
        self.accepted = dict(self.disk)
        self._waiting: list[tuple[FakeGroup, Mapping[bytes, bytes | None], str]] = []
        self.clock = self.writes = 0
        self.synchronous = False
        self.wrote: Callable[[], None] = lambda: None
        self.transfers: Any = SimpleNamespace(departed=list)

    def on_commit(self, listener: Callable[..., None]) -> None:
        pass

    def find_cluster(self, path: str) -> Any:
        return SimpleNamespace(path=path) if path in self.born else None

    pending_cluster = find_cluster

    @property
    def pending_revision(self) -> int:
        return self.clock

    @property
    def durable_revision(self) -> int:
        return self.clock

    def raise_clock(self, revision: int) -> Any:
        self.clock = max(self.clock, revision)

    def clusters(self, after: str = "") -> Iterator[Any]:
        return (SimpleNamespace(path=path) for path in sorted(self.born) if path > after)

    def get_meta(self, key: bytes) -> bytes | None:
        return self.accepted.get(key)

    def put_meta(self, items: Mapping[bytes, bytes | None]) -> FakeGroup:
        return self._write(dict(items), "")

    def create(self, path: str) -> FakeGroup:
        return self._write({}, path)

    def _write(self, items: dict[bytes, bytes | None], path: str) -> FakeGroup:
        self.clock += 1
        for key, value in items.items():
            if value is None:
                self.accepted.pop(key, None)
            else:
                self.accepted[key] = value
        group = FakeGroup()
        self._waiting.append((group, items, path))
        self.writes += 1
        if self.synchronous:
            self.sync()
        self.wrote()
        return group

    def sync(self, upto: int | None = None) -> None:
        """Everything, or the first `upto` writes in the life of this store."""
        count = len(self._waiting) if upto is None else max(0, upto - (self.writes - len(self._waiting)))
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        for group, items, path in waiting:
            for key, value in items.items():
                if value is None:
                    self.disk.pop(key, None)
                else:
                    self.disk[key] = value
            if path:
                self.born[path] = self.clock
            group.sync()

    def refuse(self) -> None:
        """The disk takes nothing of what is not synced."""
        waiting, self._waiting = self._waiting, []
        self.accepted = dict(self.disk)
        for group, _, _ in waiting:
            group.refuse(ReadOnly("full"))

    def crash(self) -> "FakeStore":
        """What was not synced is gone; groups of before never become durable."""
        self._waiting = []
        after = FakeStore(self.disk, self.born)
        after.clock = self.clock
        return after


class NoClusters:
    """In the place of the commands about logical clusters: a shard that has none to move."""

    async def find_clusters(self, request: pb.FindClustersRequest) -> pb.FindClustersResponse:
        return pb.FindClustersResponse()

    async def take_cluster(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse:
        raise AssertionError("there is nothing to take")

    cancel_take = take_cluster

    async def keep_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        return pb.OwnershipResponse()

    point_cluster = keep_cluster
