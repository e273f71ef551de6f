"""The gRPC servicer of ShardWatch: a front's two streams, tied together by `Hello.link`. No meaning here.

The Watch stream comes first and owns the front's watches: they end with it. A CatchUp stream may be
opened again while it lasts. See `watch_link` for what the messages say.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.errors import ApiError, Expired, NotFound
from kcpshard.definitions.catalog import Catalog
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.messages import ProtocolMismatch, check_hello
from kcpshard.settings import Settings
from kcpshard.storage.contract import LogicalCluster, NotDurable, ObjectStore
from kcpshard.verbs.shard import Shard
from kcpshard.watch.history import History
from kcpshard.watch.hub import Ended, Hub, Watch
from kcpshard.watch_link import FrontLink, LinkClosed, Spawn
from kcpshard.watch_start import LetIn, WatchStarts

_log = logging.getLogger(__name__)

RECHECK_S = 0.25  # after a change of rights, once for all changes of that time
_RECHECKED = 500  # watches looked at in one go: 1 ms
# Credentials are looked at again at this interval, all of them: they end with an account, a bound object, a Secret, or
# by time alone.
PROVE_S = 5.0
_PROVED = 100  # in one go; one that is kept in a Secret costs 20 µs


class WatchService:
    """`hello` makes the shard's first message. Registers itself with the store for its commits."""

    def __init__(
        self,
        shard: Shard,
        hello: Callable[[], pb.Hello],
        settings: Settings | None = None,
        spawn: Spawn | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._store, self.hello = shard.store, hello
        history = History(shard.store.durable_revision, self._settings.watch_history_bytes)
        self.hub = Hub(history, self._settings.watch_queue_bytes)
        self.hub.shown_at_birth, self.hub.is_fork = shard.store.shown_at_birth, shard.store.is_fork
        shard.store.on_commit(self.hub.on_commit)
        self._starts = WatchStarts(shard)
        self._spawn = spawn
        self._links: dict[int, FrontLink] = {}
        self._streams: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._is_proving = False
        self._changed: set[int] = set()  # ids of logical clusters whose watches are to be looked at
        shard.authorizer.on_change(self._rights_changed)

    def add_to(self, server: grpc.aio.Server) -> None:
        # Messages stay bytes in grpc: it then does not keep a decoded one of each.
        handlers = {
            "Watch": grpc.stream_stream_rpc_method_handler(self.watch),
            "CatchUp": grpc.stream_stream_rpc_method_handler(self.catch_up),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kcp.shard.v1.ShardWatch", handlers),))

    def limit(self, let_in: LetIn) -> None:
        self._starts.let_in = let_in

    def end_watches_on_change(self, catalog: Catalog) -> None:
        """A type that a logical cluster defines has changed or gone: its watches start again, and find out."""
        assert catalog.custom is not None
        catalog.custom.on_change(self.hub.type_changed)

    async def check_views(self) -> None:
        """Until cancelled: end watches of many logical clusters whose caller may see more or less than when they began.
        Their clients list again."""
        while True:
            await asyncio.sleep(self._settings.views_checked_s)
            for watch in self.hub.views():
                if watch.view is not None and await watch.view.changed():
                    self._end(watch, Expired("what the caller may see has changed: list again"))

    def end_watches_of_the_dead(self, store: ObjectStore) -> None:
        """Of a logical cluster that is no more, after its last events."""
        gone = NotFound("the logical cluster has been deleted").body()

        def end(cluster: LogicalCluster) -> None:
            if self.hub.number(cluster.path):  # to end them is to look at all there are
                self.hub.end_cluster(cluster.id, gone)

        store.on_removal(end)

    def _rights_changed(self, cluster: LogicalCluster) -> None:
        """Watches of whoever has lost a right end within RECHECK_S."""
        if not self._changed:
            asyncio.get_running_loop().call_later(RECHECK_S, self._recheck)
        self._changed.add(cluster.id)

    def _recheck(self) -> None:
        changed, self._changed = self._changed, set()
        self._recheck_some(changed, self.hub.watches())

    def _recheck_some(self, changed: set[int], watches: list[Watch]) -> None:
        """A slice; the loop is free in between."""
        for watch in watches[:_RECHECKED]:
            if watch.view is not None:
                continue  # see check_views
            if watch.cursor is not None:
                watch.doubted = True  # finds out when it reads on
            elif watch.cluster_id in changed and (cluster := self._store.cluster_by_id(watch.cluster_id)):
                self._recheck_one(watch, cluster)
        if len(watches) > _RECHECKED:
            asyncio.get_running_loop().call_soon(self._recheck_some, changed, watches[_RECHECKED:])

    def _prove_all(self) -> None:
        """Watches whose credential has been revoked end within PROVE_S. As long as there are fronts."""
        self._is_proving = self.hub.is_watched
        if self._is_proving:
            asyncio.get_running_loop().call_later(PROVE_S, self._prove_all)
            self._prove_some([watch for watch in self.hub.watches() if watch.proof])

    def _prove_some(self, watches: list[Watch]) -> None:
        for watch in watches[:_PROVED]:
            if watch.cursor is not None and watch.view is None:
                watch.doubted = True
                continue
            try:
                self._starts.is_still_proved(watch)
            except ApiError as error:
                self._end(watch, error)
        if len(watches) > _PROVED:
            asyncio.get_running_loop().call_soon(self._prove_some, watches[_PROVED:])

    def _end(self, watch: Watch, error: ApiError) -> None:
        if watch.link.watches.get(watch.id) is watch:  # it may have ended since it was listed
            self.hub.stop(watch.link, watch.id)
            watch.link.end(Ended(watch.id, error.body()))

    def _recheck_one(self, watch: Watch, cluster: LogicalCluster) -> None:
        try:
            self._starts.may_go_on(watch, cluster)
        except NotDurable:
            self._rights_changed(cluster)  # its policy is being read
        except ApiError as error:
            self._end(watch, error)

    def open(self) -> FrontLink:
        """A front's watches without a transport; its owner closes it."""
        if not self._is_proving:
            self._is_proving = True
            asyncio.get_running_loop().call_later(PROVE_S, self._prove_all)
        return FrontLink(self.hub, self._starts, self._store, self._settings, self._spawn)

    async def drain(self) -> None:
        """End all streams; the fronts resume their watches where they find the shard or its successor."""
        self._is_draining = True
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        if streams:
            await asyncio.wait(streams, timeout=5)

    async def watch(self, _requests: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        hello = await self._greet(context)
        if hello is None:
            return
        if hello.link in self._links:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "a Watch stream with this link is open")
        link = self._links[hello.link] = self.open()
        _log.info("watch of %s opened", hello.process)
        try:
            await context.write(pb.WatchBatch(hello=self.hello()).SerializeToString())
            await self._run(context, link, _write_live(context, link))
        finally:
            del self._links[hello.link]
            link.close()
            _log.info("watch of %s ended", hello.process)
        if link.is_cut:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the front does not read its events")

    async def catch_up(self, _requests: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        hello = await self._greet(context)
        if hello is None:
            return
        link = self._links.get(hello.link)
        if link is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "open the Watch stream first")
            return
        await context.write(pb.WatchBatch(hello=self.hello()).SerializeToString())
        await self._run(context, link, _write_catch_up(context, link))

    async def _greet(self, context: "grpc.aio.ServicerContext[Any, Any]") -> pb.Hello | None:
        """The front's Hello; None if the stream is over already."""
        first = await context.read()
        if first is grpc.aio.EOF:
            return None
        batch = pb.WatchControlBatch.FromString(first)
        try:
            hello = check_hello(batch.hello if batch.HasField("hello") else None)
        except ProtocolMismatch as mismatch:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(mismatch))
            return None
        if self._is_draining:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the shard is stopping")
        return hello

    async def _run(
        self, context: "grpc.aio.ServicerContext[Any, Any]", link: FrontLink, writing: Coroutine[Any, Any, None]
    ) -> None:
        """Read and write until the front ends the stream, the link is cut or the shard drains."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(writing)
            reader = tasks.create_task(_read(context, link))
            reader.add_done_callback(lambda _: writer.cancel())
            link.on_close(lambda: _cancel(reader))
            self._streams.add(reader)
            reader.add_done_callback(self._streams.discard)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _read(context: "grpc.aio.ServicerContext[Any, Any]", link: FrontLink) -> None:
    while (message := await context.read()) is not grpc.aio.EOF:
        link.receive(pb.WatchControlBatch.FromString(message))


async def _write_live(context: "grpc.aio.ServicerContext[Any, Any]", link: FrontLink) -> None:
    with suppress(LinkClosed):  # the reader ends too
        while True:
            await context.write((await link.next_live()).SerializeToString())


async def _write_catch_up(context: "grpc.aio.ServicerContext[Any, Any]", link: FrontLink) -> None:
    with suppress(LinkClosed):
        while True:
            for batch in await link.next_catch_up():
                await context.write(batch.SerializeToString())
