"""Server-side apply by several managers, generated: applying again changes nothing, and nobody loses what he owns."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.api_client import CONFIGMAPS, ApiClient, memory_shard

APPLY = "application/apply-patch+yaml"
DATA = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), min_size=1, max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), DATA), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_what_a_manager_applied_stays_until_he_or_force_takes_it(steps: list[tuple[str, dict[str, str]]]) -> None:
    asyncio.run(_judge(steps))


async def _judge(steps: list[tuple[str, dict[str, str]]]) -> None:
    client = ApiClient(memory_shard())
    applied: dict[str, dict[str, str]] = {}  # by manager, what he owns by his last accepted apply
    live: dict[str, str] = {}
    for manager, data in steps:
        reply = await _apply(client, manager, data)
        others = {name: value for who, owned in applied.items() if who != manager for name, value in owned.items()}
        if any(name in others and others[name] != value for name, value in data.items()):
            assert reply.code == 409
        else:
            assert reply.code in (200, 201)
            gone = applied.get(manager, {}).keys() - data.keys() - others.keys()
            live = {**{name: value for name, value in live.items() if name not in gone}, **data}
            applied[manager] = data
            again = await _apply(client, manager, data)
            assert again.json["metadata"]["resourceVersion"] == reply.json["metadata"]["resourceVersion"]
        if applied:
            assert (await client.get(f"{CONFIGMAPS}/a")).get("data", {}) == live
    await client.shard.store.close()


async def _apply(client: ApiClient, manager: str, data: dict[str, str]) -> Any:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    return await client.do("PATCH", f"{CONFIGMAPS}/a?fieldManager={manager}", body, APPLY)
