import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kcpfront.routing.router import MAX_HOPS, Router
from kcpshard.api.errors import MethodNotAllowed, ServiceUnavailable, Timeout
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.routing.fake_shards import OK, FakeChannels, make_map, moved
from tests.virtual_time import run

GET = pb.Request(verb=pb.GET, cluster="root")
LIST = pb.Request(verb=pb.LIST, cluster="root")

Scenario = Callable[[Router, FakeChannels], Awaitable[None]]


def play(scenario: Scenario, shards: int = 3, root_at: int = 1) -> None:
    async def main() -> None:
        channels = FakeChannels(shards)
        router = Router(channels)
        router.adopt(make_map(1, shards, root=root_at))
        await scenario(router, channels)

    run(main())


def deadline(seconds: float = 10) -> float:
    return asyncio.get_running_loop().time() + seconds


def asked(channels: FakeChannels) -> list[int]:
    return [len(shard.asked) for shard in channels.shards.values()]


def test_a_request_goes_to_the_owner() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        assert await router.call(GET, deadline()) is OK
        assert await router.list(LIST, deadline()) is OK
        assert asked(channels) == [0, 2, 0]

    play(scenario, root_at=2)


def test_a_redirect_is_followed_and_remembered() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(3)]
        assert await router.call(GET, deadline()) is OK
        assert await router.call(GET, deadline()) is OK
        assert asked(channels) == [1, 0, 2]
        assert router.statistics().redirects == 1
        assert asyncio.get_running_loop().time() == 0, "nobody waited"

    play(scenario)


def test_a_list_follows_redirects_too() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(2)]
        channels.shards[2].script = [moved(3)]
        assert await router.list(LIST, deadline()) is OK
        assert asked(channels) == [1, 1, 1]

    play(scenario)


def test_where_only_the_map_can_tell_the_next_map_is_waited_for() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(0)] * 1000
        asyncio.get_running_loop().call_later(2, router.adopt, make_map(2, 3, root=2))
        assert await router.call(GET, deadline()) is OK
        assert asyncio.get_running_loop().time() == 2
        assert asked(channels)[1:] == [1, 0]
        assert asked(channels)[0] < 20, "the pauses grow"

    play(scenario)


def test_a_slot_closed_for_a_moment_costs_a_moment() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(0)]
        assert await router.call(GET, deadline()) is OK
        assert asked(channels) == [2, 0, 0]
        assert asyncio.get_running_loop().time() < 0.01

    play(scenario)


def test_shards_that_name_each_other_are_asked_at_the_pace_of_the_pause() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(2)] * 1000
        channels.shards[2].script = [moved(1)] * 1000
        with pytest.raises(ServiceUnavailable):
            await router.call(GET, deadline(3))
        assert sum(asked(channels)) <= (MAX_HOPS + 1) * 25

    play(scenario)


def test_nobody_serves_it_until_the_deadline() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [moved(0)] * 1000
        with pytest.raises(ServiceUnavailable) as refusal:
            await router.call(GET, deadline(5))
        assert refusal.value.retry_after_s == 1
        assert asyncio.get_running_loop().time() == pytest.approx(5)

    play(scenario)


def test_a_front_without_a_map_waits_for_the_first() -> None:
    async def main() -> None:
        channels = FakeChannels(1)
        router = Router(channels)
        asyncio.get_running_loop().call_later(1, router.adopt, make_map(1, 1))
        assert await router.call(GET, deadline()) is OK
        assert asyncio.get_running_loop().time() == 1

    run(main())


def test_errors_of_the_shard_are_the_callers() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        channels.shards[1].script = [Timeout("late")]
        with pytest.raises(Timeout):
            await router.call(GET, deadline())
        channels.shards[1].script = [moved(2)]
        channels.shards[2].script = [Timeout("late")]
        with pytest.raises(Timeout):
            await router.call(GET, deadline())

    play(scenario)


@pytest.mark.parametrize("cluster", ["*", "root:org:*"])
def test_what_is_no_list_of_many_logical_clusters_is_refused(cluster: str) -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        with pytest.raises(MethodNotAllowed):
            await router.call(pb.Request(cluster=cluster), deadline())
        assert asked(channels) == [0, 0, 0]

    play(scenario)


def test_a_cancelled_request_cancels_the_shards() -> None:
    async def scenario(router: Router, channels: FakeChannels) -> None:
        pending: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        channels.shards[1].call = lambda request, deadline: pending  # type: ignore[method-assign, assignment]
        task = asyncio.get_running_loop().create_task(router.call(GET, deadline()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert pending.cancelled()

    play(scenario)
