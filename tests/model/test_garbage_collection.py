"""Garbage collection against a model that is one sentence long: what has owners and none of them left goes.

Random graphs (circles, several owners, blocking or not), random deletions with every policy, and the collector away for
some of the time; afterwards the same objects must be left with the same references as in the model.
"""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kcpshard.controllers.garbage_collection import GarbageCollection
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running

NAMES = "abcdef"

links = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans()), max_size=10)
deletions = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["Background", "Foreground", "Orphan"]), st.booleans()),
    min_size=1,
    max_size=4,
)


class Model:
    def __init__(self) -> None:
        self.owners: dict[str, set[str]] = {name: set() for name in NAMES}

    def delete(self, name: str, policy: str) -> None:
        del self.owners[name]
        if policy == "Orphan":
            for owners in self.owners.values():
                owners.discard(name)

    def collect(self) -> None:
        while gone := [n for n, owners in self.owners.items() if owners and not owners & self.owners.keys()]:
            for name in gone:
                del self.owners[name]
        for owners in self.owners.values():
            owners.intersection_update(self.owners)


async def link(client: ApiClient, model: Model, wanted: list[tuple[str, str, bool]]) -> None:
    uids = {}
    for name in NAMES:
        uids[name] = (await client.create(CONFIGMAPS, configmap(name)))["metadata"]["uid"]
    references: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    for name, owner, blocks in wanted:
        found = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uids[owner]}
        references[name][owner] = {**found, "blockOwnerDeletion": blocks}
        model.owners[name].add(owner)
    for name, owners in references.items():
        if owners:
            patch = {"metadata": {"ownerReferences": list(owners.values())}}
            await client.patch(f"{CONFIGMAPS}/{name}", patch, MERGE)


async def left(client: ApiClient) -> dict[str, set[str]]:
    items = (await client.get(CONFIGMAPS))["items"]
    return {
        item["metadata"]["name"]: {r["name"] for r in item["metadata"].get("ownerReferences", ())} for item in items
    }


async def play(wanted: list[tuple[str, str, bool]], steps: list[tuple[str, str, bool]]) -> None:
    client, model = ApiClient(memory_shard()), Model()
    await link(client, model, wanted)
    rest = list(steps)
    while rest:
        async with running(client.shard, (lambda r: GarbageCollection(client.shard, r.add),)) as runner:
            await idle(runner, 1.0)
            while rest:
                name, policy, stays = rest.pop(0)
                if name in model.owners:
                    reply = await client.do("DELETE", f"{CONFIGMAPS}/{name}?propagationPolicy={policy}")
                    assert reply.code == 200
                    model.delete(name, policy)
                    model.collect()
                if not stays:
                    runner.remember()
                    break
                await idle(runner, 1.0)
    async with running(client.shard, (lambda r: GarbageCollection(client.shard, r.add),)) as runner:
        await idle(runner, 1.0)
    assert await left(client) == model.owners
    await client.shard.store.close()


@settings(max_examples=120)
@given(links, deletions)
def test_what_has_no_owner_left_goes(wanted: list[tuple[str, str, bool]], steps: list[tuple[str, str, bool]]) -> None:
    asyncio.run(play(wanted, steps))
