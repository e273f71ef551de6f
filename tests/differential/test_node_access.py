"""What nodes may is what a real kube-apiserver said (tests/golden/nodes.json.gz)."""

import gzip
import json

from tests.differential.node_access import RECORD, SMALL, Ours, World, made


async def test_nodes_may_what_kube_apiserver_lets_them() -> None:
    recorded = json.loads(gzip.decompress(RECORD.read_bytes()))
    world, ours = World(recorded["seed"], SMALL), Ours()
    answers = iter(recorded["answers"])
    for exchanges in (world.objects, world.changes):
        assert max(await made(ours, exchanges)) < 300
        for ask in world.asks:
            assert json.loads(json.dumps(await ours.ask(ask))) == next(answers), ask
    assert next(answers, None) is None
    await ours.client.shard.store.close()
