"""What a watch costs: CPU per delivered event, a commit beside ten thousand idle watches, and memory of an idle one.

    python benchmarks/watch_micro.py

One process plays shard and front over a unix socket, so a delivered event's CPU is both ends' and gRPC's together; the
parts are measured alone as well. Figures are CPU microseconds (process time) and bytes (tracemalloc).
"""

import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import grpc.aio

sys.path.insert(0, str(Path(__file__).parent.parent))

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import WatchedEvent
from kcpshard.rpc.watch_client import GrpcWatchTransport, WatchClient
from kcpshard.rpc.watch_ledger import WatchLedger
from kcpshard.settings import Settings
from tests.contracts.stored_objects import put
from tests.contracts.watch_tier import START_US, WatchTier, start


class Counter:
    """The cheapest sink."""

    __slots__ = ("events", "wake", "wanted")

    def __init__(self) -> None:
        self.events = 0
        self.wanted = 0
        self.wake: asyncio.Event | None = None

    def started(self) -> None: ...
    def event(self, _event: WatchedEvent) -> None:
        self.events += 1
        if self.events == self.wanted and self.wake is not None:
            self.wake.set()

    def initial_done(self, _revision: int) -> None: ...
    def ended(self, status: bytes) -> None:
        raise AssertionError(status)


def say(what: str, figure: float, unit: str) -> None:
    print(f"{what:72} {figure:9.2f} {unit}")


def commits(number: int, cluster_id: int, first: int) -> list[Commit]:
    tier = WatchTier()
    _, pending = tier.store.create_cluster("x", [put("a", data="x" * 700)])
    value = pending.values[0]
    change = (EventType.MODIFIED, "configmaps", "default", "a", value, value)
    return [Commit(first + n, cluster_id, (Change(change[0], first + n, *change[1:]),)) for n in range(1, number + 1)]


def timed(run: Callable[[], object], times: int) -> float:
    run()
    # Otherwise the figure has a share of looking through everything else that is in memory.
    gc.collect()
    gc.freeze()
    begin = time.process_time()
    for _ in range(times):
        run()
    gc.unfreeze()
    return (time.process_time() - begin) / times * 1e6


async def hub_alone(watchers: int, elsewhere: int, selector: str = "", times: int = 5_000) -> float:
    """A commit through Hub.on_commit and into messages, for watchers of one bucket."""
    # A small history, so that dropping its oldest commits is in all figures.
    tier = WatchTier(Settings(watch_history_bytes=1 << 20))
    for number in range(elsewhere):
        tier.bear(f"c{number}")
    tier.bear("root", put("a"))
    await tier.settled()
    link = tier.service.open()
    for number in range(elsewhere):
        link.receive(control(start(f"c{number}", id=10**6 + number, revision=tier.store.durable_revision)))
    for number in range(watchers):
        link.receive(control(start(id=1 + number, revision=tier.store.durable_revision, label_selector=selector)))
    while link.link.lagging or link._to_start:
        link.take_catch_up()
    made = iter(commits(times + 1, tier.cluster("root").id, START_US * 2000))

    def one() -> None:
        tier.service.hub.on_commit((next(made),))
        batch = link.take_live()
        if batch is not None:
            batch.SerializeToString()

    cost = timed(one, times)
    link.close()
    return cost


def control(request: pb.StartWatch) -> pb.WatchControlBatch:
    return pb.WatchControlBatch(controls=[pb.WatchControl(start=request)])


def ledger_alone(watchers: int) -> float:
    """A live message with one event, from bytes to the sinks."""
    ids = iter(range(1, 10**6))
    ledger = WatchLedger(lambda: None, lambda: next(ids))
    watches = [ledger.add(start(revision=1), Counter()) for _ in range(watchers)]
    while ledger.has_controls:
        ledger.take_controls(256, 1 << 18)
    for watch in watches:
        ledger.feed_catch_up(pb.WatchBatch(joined=[pb.WatchJoined(watch=watch.id, revision=2)]))
    body = commits(1, 1, 1)[0].changes[0].value
    messages = []
    for revision in range(10, 5_020):
        event = pb.WatchEvent(type=pb.MODIFIED, revision=revision, object=body, watches=[w.id for w in watches])
        messages.append(pb.WatchBatch(events=[event], closed_revision=revision).SerializeToString())
    feed = iter(messages)
    return timed(lambda: ledger.feed_live(pb.WatchBatch.FromString(next(feed))), 5_000)


async def over_grpc(watchers: int, rounds: int, per_turn: int) -> float:
    """A commit to `watchers` sinks in the same process, per delivered event; `per_turn` commits at a time."""
    tier = WatchTier()
    tier.bear("root", put("a"))
    await tier.settled()
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/s"
        server = grpc.aio.server()
        tier.service.add_to(server)
        server.add_insecure_port(address)
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            client = WatchClient(GrpcWatchTransport(lambda: channel), "front-1")
            task = tasks.create_task(client.run())
            counters = [Counter() for _ in range(watchers)]
            handles = [client.watch(start(revision=tier.store.durable_revision), c) for c in counters]
            while client.statistics()["live"] < watchers:
                await asyncio.sleep(0.01)
            made = iter(commits(rounds * per_turn, tier.cluster("root").id, START_US * 2000))
            last = counters[-1]
            last.wake = asyncio.Event()
            begin = time.process_time()
            for number in range(1, rounds + 1):
                last.wanted = number * per_turn
                last.wake.clear()
                for _ in range(per_turn):
                    tier.service.hub.on_commit((next(made),))
                await last.wake.wait()
            spent = time.process_time() - begin
            del handles
            task.cancel()
        await tier.service.drain()
        await server.stop(None)
    return spent / (rounds * per_turn * watchers) * 1e6


async def memory(watches: int) -> tuple[float, float]:
    """Bytes of an idle watch, each of a logical cluster of its own: in the shard, in the client."""
    tier = WatchTier()
    for number in range(watches):
        tier.bear(f"c{number}")
    await tier.settled()
    revision = tier.store.durable_revision
    identity = b'{"username":"system:serviceaccount:default:controller","groups":["system:authenticated"]}'
    requests = [
        start(f"c{n}", id=n + 1, revision=revision, namespace="default", identity=identity) for n in range(watches)
    ]
    link = tier.service.open()
    raw = [control(request).SerializeToString() for request in requests]
    gc.collect()
    tracemalloc.start()
    for message in raw:
        link.receive(pb.WatchControlBatch.FromString(message))
        while link.link.lagging or link._to_start:
            link.take_catch_up()
    gc.collect()
    shard = tracemalloc.get_traced_memory()[0] / watches
    tracemalloc.stop()
    tracemalloc.start()
    ids = iter(range(1, 10**6))
    ledger = WatchLedger(lambda: None, lambda: next(ids))
    sink = Counter()
    handles = [ledger.add(request, sink) for request in requests]
    while ledger.has_controls:
        ledger.take_controls(256, 1 << 18)
    for handle in handles:
        ledger.feed_catch_up(pb.WatchBatch(joined=[pb.WatchJoined(watch=handle.id, revision=revision, cluster_id=1)]))
    gc.collect()
    client = tracemalloc.get_traced_memory()[0] / watches
    tracemalloc.stop()
    link.close()
    return shard, client


async def restart(watches: int) -> float:
    """CPU of starting idle watches again after a break, both ends and gRPC, per watch."""
    tier = WatchTier()
    for number in range(watches):
        tier.bear(f"c{number}")
    await tier.settled()
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/s"
        server = grpc.aio.server()
        tier.service.add_to(server)
        server.add_insecure_port(address)
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            client = WatchClient(GrpcWatchTransport(lambda: channel), "front-1")
            task = tasks.create_task(client.run())
            handles = [client.watch(start(f"c{n}", initial=True), Counter()) for n in range(watches)]
            while client.statistics()["live"] < watches:
                await asyncio.sleep(0.05)
            begin = time.process_time()
            for stream in list(tier.service._streams):
                stream.cancel()
            while client.links < 2 or client.statistics()["live"] < watches:
                await asyncio.sleep(0.05)
            spent = time.process_time() - begin
            del handles
            task.cancel()
        await tier.service.drain()
        await server.stop(None)
    return spent / watches * 1e6


async def main() -> None:
    say("shard: a commit to 1 watch, to message bytes", await hub_alone(1, 0), "µs")
    say("shard: the same beside 10,000 watches elsewhere", await hub_alone(1, 10_000), "µs")
    say("shard: a commit nobody watches", await hub_alone(0, 0), "µs")
    say("shard: the same beside 10,000 watches elsewhere", await hub_alone(0, 10_000), "µs")
    say("shard: a commit to 100 watches", await hub_alone(100, 0), "µs")
    say("shard: a commit to 1 watch with a label selector that says no", await hub_alone(1, 0, "app=x"), "µs")
    say("front: a message to 1 sink", ledger_alone(1), "µs")
    say("front: a message to 100 sinks", ledger_alone(100), "µs")
    say("both ends over gRPC, 1 watch, a commit a turn, per delivered event", await over_grpc(1, 2_000, 1), "µs")
    say("both ends over gRPC, 1 watch, 32 commits a turn", await over_grpc(1, 200, 32), "µs")
    say("both ends over gRPC, 100 watches, a commit a turn", await over_grpc(100, 1_000, 1), "µs")
    shard, client = await memory(10_000)
    say("memory of an idle watch in the shard", shard, "B")
    say("memory of an idle watch in the client", client, "B")
    say("start again after a break, 10,000 watches, both ends, per watch", await restart(10_000), "µs")


if __name__ == "__main__":
    asyncio.run(main())
