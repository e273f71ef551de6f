import asyncio
from collections.abc import AsyncGenerator

from kcpfront.routing.authority_feed import FIRST_PAUSE_S, AuthorityFeed
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Unreachable
from tests.virtual_time import run

Told = tuple[int, tuple[str, ...], frozenset[str] | None]


def batch(*paths: str, complete: bool = False) -> pb.AuthorityBatch:
    return pb.AuthorityBatch(authorities=[pb.TenantAuthorities(cluster=path) for path in paths], complete=complete)


def entries(*numbers: int) -> list[pb.ShardEntry]:
    return [pb.ShardEntry(number=number, address=f"s{number}") for number in numbers]


class Shards:
    """Each stream gives what is there, and then waits or breaks."""

    def __init__(self, breaks: int) -> None:
        self.breaks, self.asked = breaks, 0

    async def follow(self, address: str) -> AsyncGenerator[pb.AuthorityBatch, None]:
        self.asked += 1
        yield batch(f"{address}-a")
        yield batch(f"{address}-b", complete=True)
        yield batch(f"{address}-c")
        if self.asked <= self.breaks:
            raise Unreachable(address)
        await asyncio.Event().wait()


def play(shards: Shards, *maps: list[pb.ShardEntry]) -> list[Told]:
    found: list[Told] = []

    async def main() -> None:
        feed = AuthorityFeed(
            shards.follow,
            lambda number, told, named: found.append(
                (number, tuple(each.cluster for each in told), None if named is None else frozenset(named))
            ),
        )
        feed.update(maps[0])
        task = asyncio.get_running_loop().create_task(feed.run())
        for each in maps[1:]:
            await asyncio.sleep(10 * FIRST_PAUSE_S)
            feed.update(each)
        await asyncio.sleep(10 * FIRST_PAUSE_S)
        task.cancel()
        await asyncio.wait([task])

    run(main())
    return found


ROUND: list[Told] = [(1, ("s1-a",), None), (1, ("s1-b",), frozenset({"s1-a", "s1-b"})), (1, ("s1-c",), None)]


def test_the_last_of_all_comes_with_the_names_of_all() -> None:
    assert play(Shards(0), entries(1)) == ROUND


def test_a_broken_stream_begins_anew() -> None:
    assert play(Shards(1), entries(1)) == ROUND * 2


def test_what_a_shard_has_told_goes_with_it() -> None:
    assert play(Shards(0), entries(1), entries()) == [*ROUND, (1, (), frozenset())]
    assert [number for number, _, _ in play(Shards(0), entries(1), entries(1, 2))] == [1] * 3 + [2] * 3
