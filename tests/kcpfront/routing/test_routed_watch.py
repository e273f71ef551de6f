import asyncio
import itertools
from collections.abc import Awaitable, Callable

from kcpfront.routing.router import Router
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import WatchedEvent
from kcpshard.rpc.watch_ledger import WatchLedger
from tests.kcpfront.routing.fake_shards import FakeChannels, FakeHandle, FakeSink, make_map
from tests.virtual_time import run

Scenario = Callable[[Router, FakeChannels], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def main() -> None:
        channels = FakeChannels(3)
        router = Router(channels)
        router.adopt(make_map(1, 3, root=1))
        await scenario(router, channels)

    run(main())


def start(revision: int = 5) -> pb.StartWatch:
    return pb.StartWatch(cluster="root", resource="configmaps", revision=revision)


def move(router: Router, handle: FakeHandle, to: int, revision: int = 9) -> None:
    handle.revision = revision
    router.watch_moved(handle, start(revision), to)


def test_a_watch_goes_on_where_its_logical_cluster_went() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        sink = FakeSink()
        watch = router.watch(start(), sink)
        first = channels.shards[1].watches[0]
        first.sink.started()
        event = WatchedEvent(1, 9, b"{}")
        first.sink.event(event)
        move(router, first, 2)
        second = channels.shards[2].watches[0]
        second.sink.started()
        second.sink.initial_done(10)
        assert sink.seen == ["started", event, ("initial_done", 10)], "headers are sent once"
        assert second.start.revision == 9
        assert watch.revision == 9
        assert not first.closed, "it is dead already"

    play(scenario)


def test_a_watch_waits_where_only_the_map_can_tell() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        move(router, channels.shards[1].watches[0], 0)
        assert router.statistics().waiting_watches == 1
        assert watch.revision == 9
        router.adopt(make_map(2, 3, root=3))
        assert len(channels.shards[3].watches) == 1
        assert router.statistics()[-2:] == (1, 0)

    play(scenario)


def test_a_watch_at_a_slot_closed_for_a_moment_is_placed_again() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        move(router, channels.shards[1].watches[0], 0)
        await asyncio.sleep(0.1)
        assert len(channels.shards[1].watches) == 2
        watch.close()
        assert channels.shards[1].watches[1].closed

    play(scenario)


def test_redirects_in_a_circle_do_not_spin() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        for _ in range(1000):
            placed = [h for s in channels.shards.values() for h in s.watches if h is getattr(watch, "handle", None)]
            if not placed:
                break
            move(router, placed[0], 2 if placed[0] in channels.shards[1].watches else 1)
        assert sum(len(s.watches) for s in channels.shards.values()) < 10
        assert router.statistics().waiting_watches == 1

    play(scenario)


def test_a_closed_watch_is_not_placed_again() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        placed, waiting = router.watch(start(), FakeSink()), router.watch(start(), FakeSink())
        move(router, channels.shards[1].watches[1], 0)
        placed.close()
        waiting.close()
        move(router, channels.shards[1].watches[0], 2)
        router.adopt(make_map(2, 3, root=3))
        assert channels.shards[2].watches == channels.shards[3].watches == []
        assert router.statistics()[-2:] == (0, 0)

    play(scenario)


def test_a_pause_outlives_a_move() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        watch.pause()
        assert channels.shards[1].watches[0].paused
        move(router, channels.shards[1].watches[0], 2)
        assert channels.shards[2].watches[0].paused
        watch.resume()
        assert not channels.shards[2].watches[0].paused

    play(scenario)


def test_during_initial_events_there_is_no_revision() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        resume = pb.StartWatch(cluster="root", initial=True, initial_after="x", initial_revision=7, revision=7)
        router.watch_moved(channels.shards[1].watches[0], resume, 0)
        assert watch.revision == 0

    play(scenario)


def test_a_watch_that_ended_is_forgotten() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        sink = FakeSink()
        watch = router.watch(start(), sink)
        channels.shards[1].watches[0].sink.ended(b"{}")
        assert sink.seen == [("ended", b"{}")]
        assert router.statistics().watches == 0
        watch.close()
        assert watch.revision == 0

    play(scenario)


def test_kind_and_columns_stay_known_while_a_watch_moves() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        watch = router.watch(start(), FakeSink())
        first = channels.shards[1].watches[0]
        assert (watch.kind, watch.columns) == ("", b"")
        first.kind, first.columns = "ConfigMap", b"[]"
        move(router, first, 0)
        assert (watch.kind, watch.columns) == ("ConfigMap", b"[]")
        router.adopt(make_map(2, 3, root=2))
        assert (watch.kind, watch.columns) == ("ConfigMap", b"[]"), "the new shard has not started it yet"

    play(scenario)


def test_watches_of_a_shard_that_is_let_go_find_another_place() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        ledger = WatchLedger(lambda: None, itertools.count(1).__next__)
        ledger.on_moved = router.watch_moved
        channels.shards[1].watch = ledger.add  # type: ignore[assignment, method-assign]
        sink = FakeSink()
        watch = router.watch(start(revision=5), sink)
        assert router.statistics()[-2:] == (1, 0)
        ledger.give_up()
        assert router.statistics()[-2:] == (0, 1)
        router.adopt(make_map(2, 3, root=2))
        assert channels.shards[2].watches[0].start.revision == watch.revision == 5
        assert sink.seen == []

    play(scenario)


def test_a_watch_of_every_logical_cluster_has_a_part_at_each_shard() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        handle = router.watch(pb.StartWatch(cluster="*"), FakeSink())
        assert [len(shard.watches) for shard in channels.shards.values()] == [1, 1, 1]
        router.adopt(make_map(2, 2))
        assert [shard.watches[0].closed for shard in channels.shards.values()] == [True, True, True]
        handle.close()

    play(scenario)
