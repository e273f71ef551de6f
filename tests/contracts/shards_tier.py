"""Several shards in one process behind the front's router: memory engines, no gRPC, every logical cluster pinned."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from kcpfront.routing.router import Router
from kcpshard.api.requests import Identity
from kcpshard.api.slots import encode_table, even_table
from kcpshard.definitions.catalog import Catalog
from kcpshard.execution import Execution
from kcpshard.local_shard import LocalShard
from kcpshard.local_watch import LocalWatchTransport
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result, WatchHandle
from kcpshard.rpc.messages import PROTOCOL
from kcpshard.rpc.watch_client import WatchClient
from kcpshard.settings import Settings
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.verbs import births
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard
from kcpshard.watch_service import WatchService
from tests.contracts.api_client import ADMIN, ApiClient, Clock
from tests.contracts.watch_tier import Reader


class Owned:
    """What a shard owns of the tier's paths."""

    def __init__(self, tier: "ShardsTier", number: int) -> None:
        self._tier, self._number = tier, number

    def check(self, path: str) -> None:
        owner = self._tier.owner(path)
        if owner != self._number:
            raise NotOwned(owner)


class Member:
    """One shard; `restart` is a new process on the same data."""

    def __init__(self, tier: "ShardsTier", number: int) -> None:
        self.tier, self.number, self.engine = tier, number, MemoryEngine()
        self._tasks: list[asyncio.Task[Any]] = []
        self.open()

    def open(self) -> None:
        tier = self.tier
        self.store = Store(self.engine, self.number, tier.clock, tier.settings)
        self.shard = Shard(self.store, Catalog(), Owned(tier, self.number), tier.clock)
        self.execution = Execution(partial(dispatch, self.shard), tier.tasks)
        self.watch = WatchService(self.shard, self._hello, tier.settings, tier.tasks.create_task)
        assert isinstance(self.shard.catalog, Catalog)
        self.watch.end_watches_on_change(self.shard.catalog)
        self.caller = LocalShard(self.execution)
        self.transport = LocalWatchTransport(self.watch)
        self.client = WatchClient(self.transport, "test")
        self.client.on_moved, self.client.on_progress = tier.router.watch_moved, tier.router.watch_progress
        self.link = tier.tasks.create_task(self.client.run())

    def _hello(self) -> pb.Hello:
        return pb.Hello(protocol=PROTOCOL, process=f"shard-{self.number}", shard=self.number)

    async def close(self) -> None:
        self.link.cancel()
        self.caller.close()
        self.execution.close()
        await self.store.close()


class ShardsTier:
    """The ShardChannels of its own router. `home` says which shard a path lives on; others by their first letter."""

    def __init__(self, shards: int, tasks: asyncio.TaskGroup, settings: Settings | None = None) -> None:
        self.tasks, self.clock = tasks, Clock()
        self.settings = settings or Settings(closed_revision_of_many_s=0.005)
        self.home: dict[str, int] = {}
        self.number_of_shards = shards
        self.members: dict[int, Member] = {}
        self.callers: Mapping[int, Any] = {}
        self.watchers: Mapping[int, Any] = {}
        self.updates: list[Sequence[pb.ShardEntry]] = []
        self.callers, self.watchers = {}, {}
        self.router = Router(self)
        for number in range(1, shards + 1):
            self.members[number] = Member(self, number)
        self.connect()
        self._adopt()

    def connect(self) -> None:
        for table, kind in ((self.callers, "caller"), (self.watchers, "client")):
            table.clear()  # type: ignore[attr-defined]
            table.update({n: getattr(m, kind) for n, m in self.members.items()})  # type: ignore[attr-defined]

    def update(self, shards: Sequence[pb.ShardEntry]) -> None:
        self.updates.append(shards)

    def _adopt(self) -> None:
        entries = [pb.ShardEntry(number=n, address=f"shard-{n}:1") for n in self.members]
        self.router.adopt(pb.ShardMap(epoch=1, slots=encode_table(even_table(self.number_of_shards)), shards=entries))

    def owner(self, path: str) -> int:
        return self.home.setdefault(path, len(self.home) % self.number_of_shards + 1)

    def client(self, path: str, identity: Identity = ADMIN) -> ApiClient:
        """The verbs of the shard on which `path` lives."""
        return ApiClient(self.members[self.owner(path)].shard, path, identity)

    def bear(self, path: str) -> ApiClient:
        """A logical cluster at any depth."""
        births.bear(self.members[self.owner(path)].shard, path)
        return self.client(path)

    async def list(self, query: str, cluster: str = "*", identity: Identity = ADMIN, view: bytes = b"") -> Any:
        """Status or list, as the front would show it."""
        request = ApiClient(self.members[1].shard, cluster, identity).request("GET", query)
        request.view = view
        found = await self.router.list(request, asyncio.get_running_loop().time() + 10)
        if isinstance(found, Result):
            return {"code": found.code, "items": []}
        body = b"".join([piece async for piece in found])
        assert found.info is not None
        items = orjson.loads(b"[" + body + b"]")
        info = found.info
        meta = {"resourceVersion": str(info.revision), "continue": info.continue_token}
        return {"kind": info.kind, "metadata": meta, "items": items}

    def start(self, reader: Reader, cluster: str = "*", identity: Identity = ADMIN, **changes: Any) -> WatchHandle:
        place = {"cluster": cluster, "version": "v1", "resource": "configmaps", "identity": identity.encode()}
        reader.handle = self.router.watch(pb.StartWatch(**{**place, **changes}), reader)
        return reader.handle

    async def restart(self, number: int) -> None:
        member = self.members[number]
        await member.close()
        self.clock.now += 1_000_000
        old = member.client
        member.open()
        self.connect()
        old.give_up()
        self.router._wildcard_watches.shards_changed()

    async def close(self) -> None:
        for member in self.members.values():
            await member.close()


def shown(items: Sequence[Any]) -> list[str]:
    return [f"{item['metadata']['annotations']['kcp.io/cluster']}/{item['metadata']['name']}" for item in items]
