"""Our answers to the rows of `workload_kinds` are a real kube-apiserver's (tests/golden/workload_kinds.json)."""

import json
from collections import Counter
from typing import Any

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import ask_ours, concrete
from tests.differential.record_workload_kinds import NAMESPACE, RECORD, judged, setup
from tests.differential.workload_kinds import workload_kinds

# Rows of a kind that answer differently. A number may only go down.
DIFFERENT: dict[str, int] = {"DaemonSet": 1}


async def test_answers_are_kube_apiservers() -> None:
    client = ApiClient(memory_shard(api_set="full"))
    for exchange in setup():
        await ask_ours(client, exchange)
    recorded = json.loads(RECORD.read_text())
    saved: dict[str, Any] = {}
    differing: Counter[str] = Counter()
    shown = []
    for row in workload_kinds():
        code, document, _ = await ask_ours(client, concrete(row, NAMESPACE, saved))
        if row.save:
            saved[row.save] = document
        if json.loads(json.dumps(judged(code, document))) != recorded.pop(row.id):
            differing[row.id.split(": ")[1].split()[0]] += 1
            shown.append(row.id)
    await client.shard.store.close()
    assert dict(differing) == DIFFERENT, shown
    assert not recorded, "rows were removed: record again"


def test_rows_have_ids_of_their_own() -> None:
    rows = workload_kinds()
    assert len({row.id for row in rows}) == len(rows) > 800
