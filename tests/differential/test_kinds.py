"""Our answers to the rows of `kinds` are those that a real kube-apiserver gave (tests/golden/kinds.json)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import ask_ours, concrete, masked
from tests.differential.exchanges import Exchange
from tests.differential.kinds import kinds
from tests.differential.record_kinds import NAMESPACE, RECORD

# Known differences, each with its reason. A row that comes to agree must leave this list.
DIFFERENT = {
    "definitions 10: CustomResourceDefinition 10": "an empty required list is null here before validation sees it",
    "definitions 12: CustomResourceDefinition 12": "upstream repeats the complaint about two equal storage versions",
}


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    client = ApiClient(memory_shard())
    await client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    yield client
    await client.shard.store.close()


async def test_answers_are_kube_apiservers(client: ApiClient) -> None:
    recorded = json.loads(RECORD.read_text())
    saved: dict[str, Any] = {}
    differing = {}
    for row in kinds():
        code, document, warnings = await ask_ours(client, concrete(row, NAMESPACE, saved))
        if row.save:
            saved[row.save] = document
        found = json.loads(json.dumps([code, masked(document, code), warnings]))
        if found != recorded.pop(row.id):
            differing[row.id] = found
    assert differing.keys() == DIFFERENT.keys(), {k: v for k, v in differing.items() if k not in DIFFERENT}
    assert not recorded, "rows were removed: record again"


def test_rows_have_ids_of_their_own() -> None:
    rows: list[Exchange] = kinds()
    assert len({row.id for row in rows}) == len(rows) > 400
