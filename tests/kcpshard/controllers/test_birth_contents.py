from kcpshard.controllers.birth_contents import BirthContentsController
from kcpshard.verbs.birth_contents import BirthContents
from tests.contracts.full_cluster import full_cluster
from tests.kcpshard.controllers.running import idle, running

MAKE = (lambda r: BirthContentsController(r._shard),)
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
CLASS = "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/probes"


async def test_what_must_be_there_comes_back() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        old = await client.get(SERVICE)
        for url in (SERVICE, CLASS, FLOW):
            assert (await client.do("DELETE", url)).code == 200
        await idle(runner)
        new = await client.get(SERVICE)
        assert new["spec"] == old["spec"] and new["metadata"]["uid"] != old["metadata"]["uid"]
        assert (await client.do("GET", CLASS)).code == 200
        assert (await client.do("GET", FLOW)).code == 404


async def test_clusters_from_before_are_furnished_at_the_start() -> None:
    async with full_cluster() as client:
        birth, client.shard.birth, client.cluster = client.shard.birth, BirthContents(), "older"
        await client.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        assert (await client.do("GET", SERVICE)).code == 404
        client.shard.birth = birth
        async with running(client.shard, MAKE) as runner:
            await idle(runner)
            assert (await client.do("GET", SERVICE)).code == 200
            assert (await client.do("GET", "/api/v1/namespaces/kube-node-lease")).code == 200
