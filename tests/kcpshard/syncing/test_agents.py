"""What the agents of one shard are sent, from its commits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import orjson

from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.agent_stream import AgentStream
from kcpshard.syncing.agents import Agents
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ApiClient, memory_shard

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
TYPES = [pb.SyncType(group="apps", version="v1", resource="deployments")]


def deployment(name: str, cluster: str, secret: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c", "image": "i"}
    if secret:
        container["envFrom"] = [{"secretRef": {"name": secret}}]
    labels = {"a": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"kcp.dev/cluster": cluster}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class Bench:
    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.shard = memory_shard(api_set="full")
        self.execution = Execution(partial(dispatch, self.shard), tasks)
        self.agents = Agents(self.shard, self.execution, tasks)
        self.up = ApiClient(self.shard)
        self.woken: dict[AgentStream, asyncio.Event] = {}

    def connect(self, name: str = "east", credit: int = 1 << 20, **subscribe: Any) -> AgentStream:
        woken = asyncio.Event()
        stream = self.agents.open(pb.SyncAgent(cluster="root", name=name, uid=f"uid-{name}"), woken.set)
        self.woken[stream] = woken
        asked = pb.SyncSubscribe(number=1, types=TYPES, **subscribe)
        stream.receive(pb.SyncUpBatch(subscribe=asked, credit_bytes=credit))
        return stream

    async def read(self, stream: AgentStream, until: Any) -> list[pb.SyncDownBatch]:
        """Batches up to the one that makes `until` true."""
        found = []
        async with asyncio.timeout(30):
            while True:
                while (batch := stream.next_batch()) is not None:
                    found.append(batch)
                    if until(batch):
                        return found
                self.woken[stream].clear()
                await self.woken[stream].wait()


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as tasks:
        made = Bench(tasks)
        await made.up.create("/api/v1/namespaces", {"metadata": {"name": "kcp-system"}})
        yield made
        made.execution.close()


def names(batches: list[pb.SyncDownBatch], resource: str = "deployments") -> list[str]:
    return [o.name for b in batches for o in b.objects if o.resource == resource]


def done(batch: pb.SyncDownBatch) -> bool:
    return bool(batch.complete)


def about(name: str) -> Any:
    return lambda batch: any(o.name == name for o in batch.objects)


async def test_each_agent_gets_what_is_placed_there_and_its_companions() -> None:
    async with bench() as made:
        await made.up.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "wanted"}})
        await made.up.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "other"}})
        await made.up.create(DEPLOYMENTS, deployment("web", "east", "wanted"))
        await made.up.create(DEPLOYMENTS, deployment("api", "west"))
        east, west = made.connect("east"), made.connect("west")
        first = await made.read(east, done)
        assert names(first) == ["web"] and names(first, "secrets") == ["wanted"]
        assert names(first, "namespaces") == ["default"]
        assert [c.path for b in first for c in b.clusters] == ["root"]
        assert names(await made.read(west, done)) == ["api"]
        assert len(made.agents.index) == 2


async def test_changes_moves_and_ends_of_objects() -> None:
    async with bench() as made:
        east, west = made.connect("east"), made.connect("west")
        await made.read(east, done)
        await made.read(west, done)
        await made.up.create(DEPLOYMENTS, deployment("web", "east"))
        (object_,) = [o for b in await made.read(east, about("web")) for o in b.objects if o.name == "web"]
        assert orjson.loads(object_.object)["metadata"]["name"] == "web"
        await made.up.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"kcp.dev/cluster": "west"}}})
        for stream, there in ((east, False), (west, True)):
            (object_,) = [o for b in await made.read(stream, about("web")) for o in b.objects if o.name == "web"]
            assert bool(object_.object) is there
        await made.up.do("DELETE", f"{DEPLOYMENTS}/web")
        (object_,) = [o for b in await made.read(west, about("web")) for o in b.objects if o.name == "web"]
        assert not object_.object and not object_.unchanged


async def test_what_the_agent_has_is_not_sent_again() -> None:
    async with bench() as made:
        await made.up.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "wanted"}})
        await made.up.create(DEPLOYMENTS, deployment("web", "east", "wanted"))
        first = made.connect()
        had = (await made.read(first, done))[-1].revision
        cluster = next(iter(made.agents.index.of(first.subjects[0]))).cluster_id
        made.agents.close(first)
        await made.up.create(DEPLOYMENTS, deployment("new", "east"))
        again = made.connect(known=[pb.SyncCluster(path="root", id=cluster)], revision=had)
        found = {o.name: o for b in await made.read(again, done) for o in b.objects}
        assert found["web"].unchanged and not found["web"].object and found["wanted"].unchanged
        assert found["new"].object
        again.receive(pb.SyncUpBatch(missing=[found["web"]]))
        (object_,) = [o for b in await made.read(again, about("web")) for o in b.objects if o.name == "web"]
        assert object_.object


async def test_logical_clusters_that_are_gone() -> None:
    async with bench() as made:
        known = [pb.SyncCluster(path="root:never", id=9), pb.SyncCluster(path="root", id=5)]
        stream = made.connect(known=known)
        said = [(c.path, c.id, c.state) for b in await made.read(stream, done) for c in b.clusters]
        assert ("root:never", 9, pb.SYNC_GONE) in said and ("root", 5, pb.SYNC_GONE) in said
        assert any(path == "root" and id_ != 5 and state == pb.SYNC_HERE for path, id_, state in said)


async def test_a_logical_cluster_moves() -> None:
    async with bench() as made:
        await made.up.create(DEPLOYMENTS, deployment("web", "east"))
        stream = made.connect()
        await made.read(stream, done)
        cluster = made.shard.store.find_cluster("root")
        assert cluster is not None
        made.agents.left("root")
        (moved,) = [c for b in await made.read(stream, lambda b: b.clusters) for c in b.clusters]
        assert moved.state == pb.SYNC_MOVED and not len(made.agents.index)
        made.agents.arrived(cluster)
        came = await made.read(stream, lambda b: any(c.state == pb.SYNC_COMPLETE for c in b.clusters))
        assert names(came) == ["web"] and came[0].clusters[0].state == pb.SYNC_HERE


async def test_requests_pass_the_gate_or_not() -> None:
    async with bench() as made:
        await made.up.create(DEPLOYMENTS, deployment("web", "east"))
        stream = made.connect()
        await made.read(stream, done)
        status = {"metadata": {"name": "web"}, "status": {"replicas": 3}}
        good = pb.Request(
            id=1, verb=pb.PATCH, patch_type=pb.MERGE_PATCH, cluster="root", group="apps", version="v1",
            resource="deployments", subresource="status", namespace="default", name="web", body=orjson.dumps(status),
            identity=b"nonsense",
        )  # fmt: skip
        bad = pb.Request(id=2, verb=pb.DELETE, cluster="root", version="v1", resource="namespaces", name="default")
        stream.receive(pb.SyncUpBatch(requests=[good, bad]))
        answers: dict[int, int] = {}
        while len(answers) < 2:
            for batch in await made.read(stream, lambda b: b.responses):
                answers.update({r.id: r.code for r in batch.responses})
        assert answers == {1: 200, 2: 403}
        stored = await made.up.get(f"{DEPLOYMENTS}/web")
        assert stored["status"]["replicas"] == 3
        assert not made.agents.send("uid-nobody", pb.SyncDownBatch()) and made.agents.send(
            "uid-east", pb.SyncDownBatch()
        )
