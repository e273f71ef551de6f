import asyncio
from typing import Any

from kcpfront.routing.one_shard import OneShard
from kcpfront.routing.wildcard_watch import WildcardWatch
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.routing.fake_shards import OK, FakeShard, FakeSink
from tests.virtual_time import run


def test_one_logical_cluster_is_passed_on_and_many_are_cut() -> None:
    async def main() -> None:
        shard: Any = FakeShard()
        shards = OneShard(shard, shard)
        later = asyncio.get_running_loop().time() + 1
        assert await shards.call(pb.Request(verb=pb.GET, cluster="a"), later) is OK
        assert await shards.list(pb.Request(verb=pb.LIST, cluster="a"), later) is OK
        await shards.list(pb.Request(verb=pb.LIST, cluster="*"), later)
        assert [request.verb for request in shard.asked] == [pb.GET, pb.LIST, pb.LIST_MANY]
        shards.watch(pb.StartWatch(cluster="a"), FakeSink())
        many = shards.watch(pb.StartWatch(cluster="a:*"), FakeSink())
        assert isinstance(many, WildcardWatch)
        assert [watch.start.cluster for watch in shard.watches] == ["a", "a:*"]

    run(main())
