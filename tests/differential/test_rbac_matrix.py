"""Decisions, rules, refusals and escalation checks are what a real kube-apiserver said (tests/golden/rbac.json.gz)."""

import gzip
import json

from tests.differential.rbac_matrix import RECORD, SMALL, Ask, Matrix, Ours, writers


async def test_decisions_are_kube_apiservers() -> None:
    recorded = json.loads(gzip.decompress(RECORD.read_bytes()))
    matrix, ours = Matrix(recorded["seed"], SMALL), Ours()
    for exchange in (*matrix.objects, *writers()):
        assert (await ours.ask(Ask(exchange)))[0] == 201
    assert len(matrix.asks) == len(recorded["answers"])
    for ask, wanted in zip(matrix.asks, recorded["answers"], strict=True):
        assert json.loads(json.dumps(await ours.ask(ask))) == wanted, ask
    await ours.client.shard.store.close()
