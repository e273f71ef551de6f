import pytest

from kcpshard.api.errors import Timeout, Unauthorized
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.object_store import Store
from kcpshard.verbs.cut import cut
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, settle


def asked(client: ApiClient, revision: int = 0) -> pb.Request:
    return pb.Request(verb=pb.CUT, cluster="*", cut=revision, identity=client.identity.encode())


async def newest(client: ApiClient, revision: int = 0) -> int:
    return int((await settle(dispatch(client.shard, asked(client, revision)))).answer.body)


async def test_it_tells_the_newest_revision(client: ApiClient) -> None:
    made = await client.create(CONFIGMAPS, configmap("a"))
    assert await newest(client) >= int(made["metadata"]["resourceVersion"])


async def test_nothing_is_committed_at_or_below_a_cut(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    wanted = await newest(client) + 100_000_000  # 100 ms ahead
    assert await newest(client, wanted) >= wanted
    made = await client.create(CONFIGMAPS, configmap("b"))
    assert int(made["metadata"]["resourceVersion"]) > wanted


async def test_what_is_pending_is_waited_for(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap("b")))
    pending = client.shard.store.pending_revision
    assert client.shard.store.durable_revision < pending
    assert await newest(client, pending) >= pending
    assert client.shard.store.durable_revision >= pending


async def test_the_future_is_refused(client: ApiClient) -> None:
    with pytest.raises(Timeout) as refusal:
        cut(client.shard, client.shard.store.pending_revision + 3_600_000_000_000)
    assert refusal.value.causes[0].reason == "ResourceVersionTooLarge"


async def test_what_was_told_is_below_every_later_revision_even_if_the_clock_steps_back(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    told = await newest(client, await newest(client) + 50_000_000)
    again = Store(client.shard.store._engine, 1, lambda: 1_700_000_000_000_000)  # type: ignore[attr-defined]
    assert again.pending_revision >= told


async def test_nobody_is_not_told(client: ApiClient) -> None:
    with pytest.raises(Unauthorized):
        dispatch(client.shard, pb.Request(verb=pb.CUT, cluster="*"))
