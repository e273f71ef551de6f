import asyncio

import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.events import Change
from kcpshard.controllers import runner as module
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.runner import SEEN, Runner
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.namespace_contents import NamespaceContents
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running


class Recorder:
    """Notes which config maps it was to look at."""

    name = "recorder"

    def __init__(self) -> None:
        self.found: list[str] = []
        self.fails = 0
        self.again_s = 0.0

    def see(self, cluster_id: int, change: Change) -> Keys:
        return ((change.name,),) if change.group_resource == "configmaps" else ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        if self.fails:
            self.fails -= 1
            raise ServiceUnavailable("not now")
        self.found.append(f"{cluster.path}/{key[0]}")
        again, self.again_s = self.again_s, 0.0
        return again


def seen(client: ApiClient) -> int:
    return int.from_bytes(client.shard.store.get_meta(SEEN) or b"", "big")


async def test_changes_lead_to_their_keys_in_every_logical_cluster() -> None:
    shard, recorder = memory_shard(), Recorder()
    one, two = ApiClient(shard, "one"), ApiClient(shard, "two")
    async with running(shard, (lambda _: recorder,)) as runner:
        await one.create(CONFIGMAPS, configmap("a"))
        await two.create(CONFIGMAPS, configmap("b"))
        await one.do("DELETE", f"{CONFIGMAPS}/a")
        await idle(runner)
    assert recorder.found[-1] == "one/a" and "two/b" in recorder.found


async def test_what_exists_is_looked_through_once_and_then_the_log_tells() -> None:
    shard = memory_shard()
    client = ApiClient(shard)
    for at in range(300):
        await client.create(CONFIGMAPS, configmap(f"c{at:03}"))
    first = Recorder()
    async with running(shard, (lambda _: first,)) as runner:
        await idle(runner)
        runner.remember()
    assert len(first.found) == 300 and seen(client) == shard.store.durable_revision
    await client.create(CONFIGMAPS, configmap("later"))
    second = Recorder()
    async with running(shard, (lambda _: second,)) as runner:
        await idle(runner)
    assert second.found == ["root/later"]


async def test_unsettled_work_is_found_again_after_a_restart() -> None:
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    async with running(shard, (lambda _: recorder,)) as runner:
        await client.create(CONFIGMAPS, configmap("done"))
        await idle(runner)
        recorder.fails = 1_000_000
        await client.create(CONFIGMAPS, configmap("failing"))
        await idle(runner, 0)
        await client.create(CONFIGMAPS, configmap("failing-too"))
        await idle(runner, 0)
        runner.remember()
    again = Recorder()
    async with running(shard, (lambda _: again,)) as runner:
        await idle(runner)
    assert again.found == ["root/failing", "root/failing-too"]


async def test_a_log_that_does_not_reach_back_means_looking_through() -> None:
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    await client.create(CONFIGMAPS, configmap("a"))
    shard.store.put_meta({SEEN: (5).to_bytes(8, "big")})
    await client.create(CONFIGMAPS, configmap("b"))
    shard.now_us.now += 10**12  # type: ignore[attr-defined]
    await shard.store.compact(shard.now_us())
    async with running(shard, (lambda _: recorder,)) as runner:
        await idle(runner)
    assert recorder.found == ["root/a", "root/b"]


async def test_refusals_and_bugs_are_tried_again() -> None:
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    recorder.fails = 2
    async with running(shard, (lambda _: recorder,)):
        await client.create(CONFIGMAPS, configmap("a"))
        async with asyncio.timeout(60):
            while not recorder.found:
                await asyncio.sleep(0.005)


async def test_a_controller_may_ask_to_look_again() -> None:
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    recorder.again_s = 0.01
    async with running(shard, (lambda _: recorder,)):
        await client.create(CONFIGMAPS, configmap("a"))
        async with asyncio.timeout(60):
            while len(recorder.found) < 2:
                await asyncio.sleep(0.005)


async def test_a_crowd_makes_looking_through_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CROWDED", 10)
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    for at in range(200):
        await client.create(CONFIGMAPS, configmap(f"c{at:03}"))
    async with running(shard, (lambda _: recorder,)) as runner:
        await idle(runner)
    assert len(recorder.found) == 200


async def test_a_cluster_that_is_not_active_is_left_alone() -> None:
    shard, recorder = memory_shard(), Recorder()
    client = ApiClient(shard)
    await client.create(CONFIGMAPS, configmap("a"))
    cluster = shard.store.pending_cluster("root")
    assert cluster is not None
    shard.store.set_cluster_state(cluster, "Sealed")
    async with running(shard, (lambda _: recorder,)) as runner:
        await idle(runner)
    assert recorder.found == []


async def test_a_fault_in_seeing_does_not_reach_the_writer() -> None:
    class Faulty(Recorder):
        def see(self, cluster_id: int, change: Change) -> Keys:
            raise ZeroDivisionError

    shard = memory_shard()
    client = ApiClient(shard)
    async with running(shard, (lambda _: Faulty(),)):
        await client.create(CONFIGMAPS, configmap("a"))
    assert isinstance(Runner(shard, ()), Runner)


async def test_a_birth_that_was_complete_is_no_work() -> None:
    shard, recorder = memory_shard(), Recorder()
    shard.contents = NamespaceContents(root_certificate="a certificate")
    async with running(shard, (lambda _: recorder,)) as runner:
        await idle(runner)
        await ApiClient(shard, "whole").create(CONFIGMAPS, configmap("a"))
        shard.store.create_cluster("bare", NamespaceContents(root_certificate="another").puts("default", 0))
        await idle(runner)
    assert sorted(recorder.found) == ["bare/kube-root-ca.crt", "whole/a"]
    await shard.store.close()
