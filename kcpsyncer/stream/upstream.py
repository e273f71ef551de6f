"""The logical clusters that an agent serves: objects as they are now, and requests about them, over streams to the
shards. Shards come and go with the map, logical clusters move between them; who asks notices nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.transport import TlsFiles, choose, dial
from kcpsyncer.kube_client import Failure
from kcpsyncer.stream.feed import NOBODY, Feed, LogicalCluster, Object, Place
from kcpsyncer.stream.shard_stream import TIMEOUT_S, ShardStream

_log = logging.getLogger(__name__)
MANAGER = "kcp-syncer"
SETTLING_S = 0.2  # after a logical cluster has left a shard, until all are asked where it is
Listener = Callable[[str, Place], None]  # path of the logical cluster, what has changed there


class Shards(NamedTuple):
    """Where some of them are, as in the map; `tls` for those on the network."""

    addresses: Sequence[str]
    tls: TlsFiles | None = None


class Type(NamedTuple):
    group: str
    version: str
    plural: str

    @property
    def group_resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Upstream:
    """`run` until cancelled. Listeners are told of every change; `synced` of a type says that all of it is known."""

    def __init__(self, agent: pb.SyncAgent, shards: Shards, process: str) -> None:
        self.agent, self._shards, self._process = agent, shards, process
        self.feed = Feed(self._changed)
        self.listeners: list[Listener] = []
        self._types: frozenset[Type] = frozenset()
        self._number = 0  # of the newest subscription
        self._asked: dict[int, frozenset[Type]] = {}  # types, by the number of the subscription
        self._complete: dict[int, int] = {}  # shard number → newest subscription that is complete
        self._streams: dict[str, ShardStream] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._progress = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._settling: asyncio.TimerHandle | None = None
        self.on_batch: Callable[[ShardStream, pb.SyncDownBatch], None] = lambda _stream, _batch: None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._connect(self._shards.addresses)
            await asyncio.Event().wait()

    # --- what there is

    @property
    def path(self) -> str:
        """Of the logical cluster where our Cluster is registered."""
        return self.agent.cluster

    def get(self, place: Place) -> Object | None:
        return self.feed.get(self.path, place)

    def places(self, types: Iterable[str]) -> list[Place]:
        return self.feed.places(self.path, types)

    @property
    def home(self) -> LogicalCluster | None:
        return self.feed.by_path(self.path)

    def subscribe(self, types: Iterable[Type]) -> None:
        wanted = frozenset(types)
        if wanted != self._types:
            self._types = wanted
            self._subscribe_all()

    def is_synced(self, type_: Type | None = None) -> bool:
        """Whether all objects of the type (None: those about our Cluster itself) are known, whatever becomes of streams
        afterwards."""
        home = self.home
        if home is None or home.shard == NOBODY:
            return False
        number = self._complete.get(home.shard, 0)
        return number > 0 and (type_ is None or type_ in self._asked.get(number, frozenset()))

    async def wait_until_synced(self, type_: Type | None = None) -> None:
        while not self.is_synced(type_):
            self._progress.clear()
            await self._progress.wait()

    def _changed(self, cluster: LogicalCluster, place: Place) -> None:
        for listener in self.listeners:
            listener(cluster.path, place)

    # --- Owner of the streams

    def opened(self, stream: ShardStream) -> pb.SyncSubscribe:
        self.feed.begin(stream.number)
        return self._subscription(stream)

    def received(self, stream: ShardStream, batch: pb.SyncDownBatch) -> list[pb.SyncObject]:
        if batch.shards:
            self._connect([each.address for each in batch.shards])
        missing = self.feed.take(stream.number, batch, batch.complete == self._number)
        if any(each.state == pb.SYNC_MOVED for each in batch.clusters) and self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLING_S, self._look_for_the_moved)
        if batch.complete:
            self._complete[stream.number] = batch.complete
        if batch.complete or batch.clusters:
            self._progress.set()
        self.on_batch(stream, batch)
        return missing

    def _look_for_the_moved(self) -> None:
        self._settling = None
        self._subscribe_all()

    def _subscribe_all(self) -> None:
        if self._types != self._asked.get(self._number):
            self._number += 1
            self._asked = {n: types for n, types in self._asked.items() if n in self._complete.values()}
            self._asked[self._number] = self._types
        for stream in self._streams.values():
            stream.subscribe(self._subscription(stream))

    def _subscription(self, stream: ShardStream) -> pb.SyncSubscribe:
        if not self._number:
            self._number = 1
            self._asked[1] = self._types
        self.feed.expect_all(stream.number)
        types = [pb.SyncType(group=each.group, version=each.version, resource=each.plural) for each in self._types]
        return pb.SyncSubscribe(number=self._number, types=types, known=self.feed.known(), revision=stream.revision)

    def _connect(self, addresses: Iterable[str]) -> None:
        """To exactly these."""
        assert self._tasks is not None
        tls = self._shards.tls
        wanted = {choose(address, tls is not None) for address in addresses if _is_for(address, tls is not None)}
        if not wanted:
            return
        for address in self._running.keys() - wanted:
            self._running.pop(address).cancel()
            self._streams.pop(address)
        for address in wanted - self._running.keys():
            stream = ShardStream(lambda a=address: dial(a, tls), self.agent, self._process, self)  # type: ignore[misc]
            self._streams[address] = stream
            self._running[address] = self._tasks.create_task(stream.run())

    # --- requests, in the logical cluster of our Cluster

    async def has_namespace(self, name: str) -> bool:
        """Also one that is being deleted. Raises Failure if that cannot be found out."""
        try:
            await self._ask(pb.GET, f"/api/v1/namespaces/{name}", None)
        except Failure as failure:
            if failure.is_gone:
                return False
            raise
        return True

    async def create(self, path: str, obj: Object) -> Object:
        return await self._ask(pb.CREATE, path, obj)

    async def update(self, path: str, obj: Object) -> Object:
        return await self._ask(pb.UPDATE, path, obj)

    async def apply(self, path: str, obj: Object, force: bool = True, manager: str = "") -> Object:
        return await self._ask(pb.PATCH, path, obj, patch_type=pb.APPLY, force=force, field_manager=manager or MANAGER)

    async def delete(self, path: str, uid: str = "") -> None:
        """Of exactly that object, if `uid` is given. That it is gone already is no error."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._ask(pb.DELETE, path, body)
        except Failure as failure:
            if not failure.is_gone:
                raise

    async def _ask(self, verb: "pb.Verb.ValueType", path: str, body: Object | None, **more: Any) -> Object:
        request = pb.Request(verb=verb, cluster=self.path, **place_of(path), **more)
        if body is not None:
            request.body = orjson.dumps(body)
        if not request.field_manager:
            request.field_manager = MANAGER
        stream = await self._home_stream()
        response = await stream.ask(request)
        document = orjson.loads(response.body) if response.body else {}
        if response.code == 421:
            raise Failure(0, "Moved", "the logical cluster is on its way to another shard")
        if response.code >= 300:
            raise Failure(response.code, str(document.get("reason") or ""), str(document.get("message") or ""))
        found: Object = document
        return found

    async def _home_stream(self) -> ShardStream:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    home = self.home
                    for stream in self._streams.values():
                        if home is not None and stream.number == home.shard and home.shard != NOBODY:
                            return stream
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            raise Failure(0, "Unreachable", f"no shard serves {self.path} now") from None


def place_of(path: str) -> Mapping[str, Any]:
    """The fields of a Request for a path of the Kubernetes API."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise ValueError(f"{path} is no path of an object")
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    return {
        "group": group, "version": version, "namespace": namespace, "resource": resource, "name": name,
        "subresource": subresource,
    }  # fmt: skip


def _is_for(address: str, has_tls: bool) -> bool:
    """Whether there is a way to it for us."""
    try:
        choose(address, has_tls)
    except ValueError:
        return False
    return True
