"""A shard's watch half over a store in memory, and readers that record: for tests of every part between the two."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kcpshard.api.requests import Identity
from kcpshard.callouts.calls import Callouts
from kcpshard.definitions.contract import Document, Object, Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import WatchedEvent, WatchHandle
from kcpshard.rpc.messages import PROTOCOL
from kcpshard.settings import Settings
from kcpshard.storage.contract import LogicalCluster, NotDurable, ObjectStore, Put, Remove
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.watch_service import WatchService
from tests.contracts.stored_objects import CLASSES, put

START_US = 1_800_000_000_000_000
VERBS = frozenset(("create", "delete", "get", "list", "update", "watch"))


def resource(plural: str, group: str = "", version: str = "v1", **changes: Any) -> Resource:
    """Enough of a Resource for watches."""
    made = Resource()
    made.group, made.version, made.plural, made.kind = group, version, plural, "Thing"
    made.api_version = f"{group}/{version}" if group else version
    made.group_resource = f"{plural}.{group}" if group else plural
    made.namespaced, made.verbs, made.columns = True, VERBS, b""
    made.definition, made.deprecation, made.fingerprint = None, "", 0
    made.retention, made.field_names = CLASSES.get(made.group_resource, 0), frozenset(("type",))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class FakeCatalog:
    def __init__(self) -> None:
        self.known = [
            resource("configmaps"),
            resource("events"),
            resource("events", "events.k8s.io", group_resource="events", retention=1),
            resource("leases", "coordination.k8s.io"),
            resource("namespaces", namespaced=False),
            resource("reviews", verbs=frozenset(("create",))),
            resource("widgets", "example.dev", columns=b'[{"name":"Age"}]'),
        ]

    def follow(self, store: ObjectStore) -> None:
        pass

    def inherit(self, inheritance: object) -> None:
        """Nobody has ancestors here."""

    def call_out(self, callouts: Callouts) -> None:
        pass

    async def prepare(self, objects: Sequence[Object], wanted: Resource) -> None:
        pass

    def find(self, _cluster: LogicalCluster | None, group: str, version: str, plural: str) -> Resource | None:
        for known in self.known:
            if (known.group, known.version, known.plural) == (group, version, plural):
                return known
        return None

    def remote_api(self, *_: object) -> None:
        return None

    def resources(self, _cluster: LogicalCluster | None) -> Sequence[Resource]:
        return self.known

    def document(self, *_: object) -> Document | None:
        return None

    def convert(self, obj: Object, wanted: Resource) -> Object:
        return {**obj, "apiVersion": wanted.api_version}


class FakeOwnership:
    def __init__(self) -> None:
        self.moved: dict[str, int] = {}

    def check(self, path: str) -> None:
        if path in self.moved:
            raise NotOwned(self.moved[path])


class WatchTier:
    """One shard. `now_us` is its clock; `restart` is a new process on the same data."""

    def __init__(self, settings: Settings | None = None, engine: Any = None, sync: Any = None) -> None:
        self.settings = settings or Settings(closed_revision_interval_s=0.01)
        self.engine = engine or MemoryEngine()
        self._sync = sync
        self.now_us = START_US
        self.catalog, self.ownership = FakeCatalog(), FakeOwnership()
        self._open()

    def _open(self) -> None:
        self.store = Store(self.engine, 1, lambda: self.now_us, self.settings, self._sync)
        shard = Shard(self.store, self.catalog, self.ownership, lambda: self.now_us)
        self.service = WatchService(shard, self.hello, self.settings)

    def restart(self) -> None:
        """What is not durable is what the engine makes of it. Links of the old service are the caller's to close."""
        self._open()

    def hello(self) -> pb.Hello:
        return pb.Hello(protocol=PROTOCOL, process="shard-1", shard=1, revision=self.store.durable_revision)

    def bear(self, path: str, *puts: Put) -> int:
        self.now_us += 1
        lease = put("birth", group_resource="leases.coordination.k8s.io")
        return self.store.create_cluster(path, puts or (lease,))[1].revision

    def commit(self, path: str, *writes: Put | Remove) -> int:
        """Accept; durable after the loop has turned."""
        self.now_us += 1
        cluster = self.store.pending_cluster(path)
        assert cluster is not None
        return self.store.commit(cluster, writes).revision

    async def committed(self, path: str, *writes: Put | Remove) -> int:
        revision = self.commit(path, *writes)
        await self.settled()
        return revision

    async def settled(self) -> None:
        """Until everything accepted is durable."""
        while self.store.durable_revision < self.store.pending_revision:
            await asyncio.sleep(0)

    def cluster(self, path: str) -> LogicalCluster:
        try:
            found = self.store.find_cluster(path)
        except NotDurable:
            raise AssertionError(f"{path} is not durable") from None
        assert found is not None
        return found


class Reader:
    """A WatchSink that writes down what it was told, as text: `ADDED a 17`, `initial 17`, `ended 410`."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.events: list[WatchedEvent] = []
        self.status: dict[str, Any] = {}
        self.handle: WatchHandle | None = None
        self.on_event: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()

    def started(self) -> None:
        self._note("started")

    def event(self, event: WatchedEvent) -> None:
        self.events.append(event)
        metadata = orjson.loads(event.object)["metadata"]
        self._note(f"{pb.EventType.Name(event.type)} {metadata['name']}")
        self.on_event()

    def initial_done(self, revision: int) -> None:
        self._note(f"initial {revision}")

    def ended(self, status: bytes) -> None:
        self.status = orjson.loads(status)
        self._note(f"ended {self.status['code']}")

    def _note(self, text: str) -> None:
        self.log.append(text)
        self._changed.set()

    async def saw(self, *wanted: str) -> None:
        """Wait until the last entries are these; fail with what there is instead."""
        try:
            async with asyncio.timeout(60):
                while tuple(self.log[-len(wanted) :]) != wanted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"wanted {wanted} at the end of {self.log}") from None

    async def complete_up_to(self, revision: int) -> None:
        """Wait until the handle says so."""
        assert self.handle is not None
        async with asyncio.timeout(60):
            while self.handle.revision < revision:
                await asyncio.sleep(0.001)


ADMINISTRATOR = Identity("admin", "", ("system:masters",)).encode()


def start(cluster: str = "root", plural: str = "configmaps", **changes: Any) -> pb.StartWatch:
    place = {"cluster": cluster, "version": "v1", "resource": plural, "identity": ADMINISTRATOR}
    return pb.StartWatch(**{**place, **changes})


__all__ = ["Reader", "WatchTier", "put", "resource", "start"]
