import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from kcpshard import watch_service
from kcpshard.api.proofs import ClaimedObject, Proof
from kcpshard.local_watch import LocalWatchTransport
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.messages import front_hello
from kcpshard.rpc.watch_client import GrpcWatchTransport, StreamBroken, WatchClient
from kcpshard.settings import Settings
from kcpshard.watch_link import LinkClosed
from kcpshard.watch_service import WatchService
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap, memory_shard
from tests.contracts.stored_objects import put
from tests.contracts.watch_tier import Reader, WatchTier, start
from tests.contracts.watcher import Rig, WatcherContract

RBAC_GROUP = "rbac.authorization.k8s.io"
BINDINGS = f"/apis/{RBAC_GROUP}/v1/clusterrolebindings"
SETTINGS = Settings(closed_revision_interval_s=0.01, watch_future_revision_s=0.2, watch_queue_bytes=1 << 20)


class Server:
    """The service on a unix socket, for one WatchTier after another."""

    def __init__(self, tier: WatchTier, path: Path) -> None:
        self.tier, self.address = tier, f"unix:{path}"

    async def start(self) -> None:
        self.grpc = grpc.aio.server()
        self.tier.service.add_to(self.grpc)
        self.grpc.add_insecure_port(self.address)
        await self.grpc.start()

    async def stop(self) -> None:
        await self.tier.service.drain()
        await self.grpc.stop(None)

    def channel(self) -> grpc.aio.Channel:
        options = [("grpc.initial_reconnect_backoff_ms", 10), ("grpc.min_reconnect_backoff_ms", 10),
                   ("grpc.use_local_subchannel_pool", 1)]  # fmt: skip
        return grpc.aio.insecure_channel(self.address, options=options)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(WatchTier(SETTINGS), tmp_path / "front.sock")
    await server.start()
    yield server
    await server.stop()


class TestGrpcWatcher(WatcherContract):
    @pytest.fixture
    async def rig(self, server: Server) -> AsyncIterator[Rig]:
        tier = server.tier
        async with server.channel() as channel, asyncio.TaskGroup() as tasks:
            client = WatchClient(GrpcWatchTransport(lambda: channel), "front-1")
            task = tasks.create_task(client.run())

            async def break_link() -> None:
                for stream in list(tier.service._streams):
                    stream.cancel()
                await asyncio.sleep(0)

            async def restart() -> None:
                await server.stop()
                tier.restart()
                await server.start()

            yield Rig(tier, client, break_link, restart)
            task.cancel()


async def test_another_protocol_is_refused(server: Server) -> None:
    async with server.channel() as channel, GrpcWatchTransport(lambda: channel).watch() as stream:
        hello = front_hello("front-1")
        hello.protocol = 9
        await stream.write(pb.WatchControlBatch(hello=hello))
        with pytest.raises(StreamBroken, match=r"FAILED_PRECONDITION.*speaks protocol 9"):
            await stream.read()


async def test_a_stream_begins_with_hello(server: Server) -> None:
    async with server.channel() as channel, GrpcWatchTransport(lambda: channel).watch() as stream:
        await stream.write(pb.WatchControlBatch(controls=[pb.WatchControl(stop=1)]))
        with pytest.raises(StreamBroken, match="starts with Hello"):
            await stream.read()


async def test_catch_up_belongs_to_a_watch_stream(server: Server) -> None:
    async with server.channel() as channel, GrpcWatchTransport(lambda: channel).catch_up() as stream:
        hello = front_hello("front-1")
        hello.link = 17
        await stream.write(pb.WatchControlBatch(hello=hello))
        with pytest.raises(StreamBroken, match="open the Watch stream first"):
            await stream.read()


async def test_a_front_that_does_not_read_is_cut_and_costs_nothing_more(server: Server) -> None:
    tier = server.tier
    tier.bear("root", put("a"))
    await tier.settled()
    async with server.channel() as channel:
        transport = GrpcWatchTransport(lambda: channel)
        async with transport.watch() as live, transport.catch_up() as catch_up:
            hello = front_hello("front-1")
            hello.link = 17
            await live.write(pb.WatchControlBatch(hello=hello))
            await live.read()
            await catch_up.write(pb.WatchControlBatch(hello=hello))
            watch = start(id=1, revision=tier.store.durable_revision)
            await catch_up.write(pb.WatchControlBatch(controls=[pb.WatchControl(start=watch)]))
            while not (await catch_up.read()).joined:
                pass
            for number in range(400):
                await tier.committed("root", put("a", data=f"{number}" + "x" * 20_000))
                await asyncio.sleep(0)
                if tier.service.hub.statistics()["cut"]:
                    break
            statistics = tier.service.hub.statistics()
            assert (statistics["cut"], statistics["watches"], statistics["queued_bytes"]) == (1, 0, 0)
            assert number > 50, "the queue has room for a megabyte"
            with pytest.raises(StreamBroken):
                while True:
                    await live.read()
            with pytest.raises(StreamBroken):
                while True:
                    await catch_up.read()


async def test_draining_ends_the_streams_and_their_watches_resume_later(server: Server) -> None:
    tier = server.tier
    tier.bear("root", put("a"))
    await tier.settled()
    async with server.channel() as channel, asyncio.TaskGroup() as tasks:
        client = WatchClient(GrpcWatchTransport(lambda: channel), "front-1")
        task = tasks.create_task(client.run())
        reader = Reader()
        reader.handle = client.watch(start(initial=True), reader)
        await reader.complete_up_to(tier.store.durable_revision)
        await server.stop()
        assert tier.service.hub.statistics()["links"] == 0
        await tier.committed("root", put("b"))
        tier.restart()
        await server.start()
        await reader.saw("ADDED b")
        task.cancel()


async def test_a_link_that_has_closed_ends_its_writers_without_an_error() -> None:
    """When a front dies, the end of one stream closes the link under the other one's writer."""

    class ClosedLink:
        async def next_live(self) -> pb.WatchBatch:
            raise LinkClosed

        async def next_catch_up(self) -> list[pb.WatchBatch]:
            raise LinkClosed

    class Context:
        async def write(self, message: bytes) -> None:
            raise AssertionError(message)

    for write in (watch_service._write_live, watch_service._write_catch_up):
        await write(Context(), ClosedLink())  # type: ignore[arg-type]


async def test_a_watch_ends_when_the_right_to_it_does() -> None:
    admin = ApiClient(memory_shard())
    service = WatchService(admin.shard, lambda: pb.Hello(protocol=1, shard=1), SETTINGS)
    await admin.create(CONFIGMAPS, configmap("a"))
    subject = {"kind": "User", "apiGroup": RBAC_GROUP, "name": "user"}
    role = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "view"}
    await admin.create(BINDINGS, {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]})
    async with asyncio.TaskGroup() as tasks:
        client = WatchClient(LocalWatchTransport(service), "front-1")
        task = tasks.create_task(client.run())
        theirs, ours, refused = Reader(), Reader(), Reader()
        place = {"namespace": "default", "identity": USER.encode()}
        theirs.handle = client.watch(start("root", "configmaps", initial=True, **place), theirs)
        ours.handle = client.watch(start("root", "configmaps", initial=True), ours)
        refused.handle = client.watch(start("root", "secrets", **place), refused)
        await theirs.saw("ADDED a", f"initial {admin.shard.store.durable_revision}")
        await refused.saw("ended 403")
        await admin.do("DELETE", BINDINGS + "/b")
        await theirs.saw("ended 403")
        assert 'User "user" cannot watch resource "configmaps"' in theirs.status["message"]
        await admin.create(CONFIGMAPS, configmap("b"))
        await ours.saw("ADDED b")
        task.cancel()
    await admin.shard.store.close()


async def test_a_watch_that_waits_for_a_birth_sees_what_is_shown_from_then_on() -> None:
    admin = ApiClient(memory_shard())
    service = WatchService(admin.shard, lambda: pb.Hello(protocol=1, shard=1), SETTINGS)
    async with asyncio.TaskGroup() as tasks:
        client = WatchClient(LocalWatchTransport(service), "front-1")
        task = tasks.create_task(client.run())
        reader = Reader()
        place = {"plural": "clusterroles", "group": RBAC_GROUP, "initial": True}
        reader.handle = client.watch(start("root", **place), reader)
        await reader.saw(f"initial {admin.shard.store.durable_revision}")
        await admin.create(CONFIGMAPS, configmap("a"))
        await reader.saw("ADDED view")
        assert len(reader.events) == 71
        task.cancel()
    await admin.shard.store.close()


async def test_a_watch_ends_when_the_token_that_began_it_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_service, "PROVE_S", 0.02)
    monkeypatch.setattr(watch_service, "_PROVED", 1)  # the rest in turns of their own
    admin = ApiClient(memory_shard())
    service = WatchService(admin.shard, lambda: pb.Hello(protocol=1, shard=1), SETTINGS)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    proofs = {}
    for name in ("kept", "revoked", "also"):
        made = (await admin.do("POST", accounts, {"metadata": {"name": name}})).json["metadata"]
        claimed = ClaimedObject("serviceaccounts", "default", name, made["uid"])
        cluster = admin.shard.store.pending_cluster("root")
        assert cluster is not None
        proofs[name] = Proof(cluster.id, (claimed,)).encode()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        client = WatchClient(LocalWatchTransport(service), "front-1")
        task = tasks.create_task(client.run())
        readers = {name: Reader() for name in proofs}
        for name, reader in readers.items():
            reader.handle = client.watch(start("root", "configmaps", initial=True, proof=proofs[name]), reader)
        for reader in readers.values():
            await reader.saw(f"initial {admin.shard.store.durable_revision}")
        for name in ("revoked", "also"):
            await admin.do("DELETE", f"{accounts}/{name}")
            await readers[name].saw("ended 401")
        await admin.create(CONFIGMAPS, configmap("b"))
        await readers["kept"].saw("ADDED b")
        task.cancel()
    await admin.shard.store.close()


async def test_credentials_are_not_looked_at_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_service, "PROVE_S", 0.001)
    admin = ApiClient(memory_shard())
    service = WatchService(admin.shard, lambda: pb.Hello(protocol=1, shard=1), SETTINGS)
    for _ in range(2):
        service.open().close()
        async with asyncio.timeout(60):
            while service._is_proving:
                await asyncio.sleep(0)
    await admin.shard.store.close()
