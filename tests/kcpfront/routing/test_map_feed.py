import asyncio
from collections.abc import AsyncGenerator

from kcpfront.routing.map_feed import LAST_PAUSE_S, MapFeed
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import CONNECT_TIMEOUT_S, Unreachable
from tests.kcpfront.routing.fake_shards import make_map
from tests.virtual_time import run


class FakeMaps:
    """Shards by address: each has a map, or is away. `publish` gives all that are there a newer one."""

    def __init__(self, **maps: pb.ShardMap) -> None:
        self.maps = maps
        self.asked: list[tuple[str, int]] = []
        self._changed = asyncio.Event()

    def publish(self, message: pb.ShardMap, *away: str) -> None:
        self.maps = {address: message for address in self.maps if address not in away}
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, address: str, known_epoch: int) -> AsyncGenerator[pb.ShardMap, None]:
        self.asked.append((address, known_epoch))
        while address in self.maps:
            if self.maps[address].epoch > known_epoch:
                known_epoch = self.maps[address].epoch
                yield self.maps[address]
            await self._changed.wait()
        raise Unreachable(address)


def play(seeds: list[str], shards: FakeMaps, *steps: tuple[float, object]) -> list[int]:
    """The epochs that came, after steps at their times."""
    taken: list[int] = []

    async def main() -> None:
        feed = MapFeed(seeds, shards.follow, lambda message: taken.append(message.epoch))
        task = asyncio.get_running_loop().create_task(feed.run())
        for at_s, step in steps:
            asyncio.get_running_loop().call_later(at_s, step)  # type: ignore[arg-type]
        await asyncio.sleep(60)
        task.cancel()
        await asyncio.wait((task,))

    run(main())
    return taken


def test_maps_come_as_they_are_published() -> None:
    shards = FakeMaps(a=make_map(1, 1))
    assert play(["a"], shards, (1, lambda: shards.publish(make_map(2, 1)))) == [1, 2]
    assert shards.asked == [("a", 0)]


def test_who_has_just_lost_the_stream_may_be_behind() -> None:
    shards, seen = FakeMaps(a=make_map(1, 1)), []

    async def main() -> None:
        feed = MapFeed(["a"], shards.follow, lambda message: None)
        seen.append(feed.is_behind())
        task = asyncio.get_running_loop().create_task(feed.run())
        await asyncio.sleep(0.01)
        seen.append(feed.is_behind())
        shards.publish(make_map(2, 1), "a")  # the shard dies
        await asyncio.sleep(0.01)
        seen.append(feed.is_behind())
        shards.maps["a"] = make_map(1, 1)  # it is back, with nothing new to tell
        await asyncio.sleep(LAST_PAUSE_S + CONNECT_TIMEOUT_S + 0.1)
        seen.append(feed.is_behind())
        task.cancel()
        await asyncio.wait((task,))

    run(main())
    assert seen == [True, False, True, False]


def test_another_shard_is_followed_when_one_dies() -> None:
    shards = FakeMaps(a=make_map(1, 2), b=make_map(1, 2))
    steps = [
        (1, lambda: shards.publish(make_map(2, 2), "a")),
        (2, lambda: shards.publish(make_map(3, 2))),
    ]
    assert play(["a", "b"], shards, *steps) == [1, 2, 3]
    assert shards.asked == [("a", 0), ("b", 1)]


def test_shards_that_the_map_names_are_followed_too() -> None:
    first = make_map(1, 2)  # names shard-1:1 and shard-2:1
    shards = FakeMaps(**{"seed": first, "shard-2:1": first})
    assert play(["seed"], shards, (1, lambda: shards.publish(make_map(2, 2), "seed"))) == [1, 2]
    assert shards.asked[-1] == ("shard-2:1", 1)


def test_when_all_are_away_the_search_goes_on_at_a_bounded_pace() -> None:
    shards = FakeMaps(a=make_map(1, 1))

    def back() -> None:
        shards.maps = {"a": make_map(2, 1)}

    assert play(["a"], shards, (1, lambda: shards.publish(make_map(1, 1), "a")), (30, back)) == [1, 2]
    # The seed and the address in the map are tried in each round.
    assert len(shards.asked) < 2 * (30 / LAST_PAUSE_S + 10)


def test_a_damaged_map_is_not_remembered() -> None:
    async def main() -> None:
        shards = FakeMaps(a=make_map(1, 1))

        def refuse(message: pb.ShardMap) -> None:
            raise ValueError("damaged")

        feed = MapFeed(["a"], shards.follow, refuse)
        task = asyncio.get_running_loop().create_task(feed.run())
        await asyncio.sleep(3)
        assert {epoch for _, epoch in shards.asked} == {0}
        task.cancel()
        await asyncio.wait((task,))

    run(main())


def test_the_first_map_can_be_waited_for() -> None:
    async def main() -> None:
        shards = FakeMaps(a=make_map(1, 1))
        feed = MapFeed(["a"], shards.follow, lambda message: None)
        waiting = asyncio.get_running_loop().create_task(feed.wait_for_map())
        await asyncio.sleep(1)
        assert not waiting.done()
        task = asyncio.get_running_loop().create_task(feed.run())
        await waiting
        task.cancel()
        await asyncio.wait((task,))

    run(main())
