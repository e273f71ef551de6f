"""Server-side apply by several managers, generated: applying again changes nothing, and nobody loses what he owns."""

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.api_client import CONFIGMAPS, ApiClient, memory_shard
from tests.contracts.custom_types import WIDGETS, established, version

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


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "whole": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    },
}  # fmt: skip


def test_lists_are_merged_by_their_kind_and_nobody_loses_an_item() -> None:
    """Sets by value, maps by key, atomic ones as a whole; what a manager leaves out goes unless another wants it."""

    async def judged() -> None:
        schema = {"type": "object", "properties": {"spec": SCHEMA}}
        async with established(version(schema=schema)) as client:
            for number in range(60):
                await _judge_lists(client, f"n{number}", random.Random(number))

    asyncio.run(judged())


async def _judge_lists(client: ApiClient, name: str, rng: random.Random) -> None:
    wanted: dict[str, dict[str, Any]] = {}  # by manager, by field that he owns
    for _ in range(5):
        manager = rng.choice(("one", "two", "three"))
        tags, parts = rng.sample("abc", rng.randrange(4)), rng.sample("abc", rng.randrange(1, 4))
        spec = {"tags": tags, "parts": [{"name": part, "size": rng.randrange(2)} for part in parts]}
        if rng.random() < 0.3:
            spec["whole"] = rng.sample("abc", 2)
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
        fields = {f"tag {tag}": True for tag in tags} | {f"part {p['name']}": p["size"] for p in spec["parts"]}
        if "whole" in spec:
            fields["whole"] = spec["whole"]
        others = {key: value for who, owned in wanted.items() if who != manager for key, value in owned.items()}
        reply = await client.do("PATCH", f"{WIDGETS}/{name}?fieldManager={manager}", body, APPLY)
        if any(key in others and others[key] != value for key, value in fields.items()):
            assert reply.code == 409, reply.json
            continue
        assert reply.code in (200, 201), reply.json
        wanted[manager] = fields
        found, everything = reply.json.get("spec") or {}, {**others, **fields}
        assert sorted(found.get("tags", ())) == sorted(key[4:] for key in everything if key.startswith("tag "))
        sizes = {f"part {part['name']}": part["size"] for part in found.get("parts", ())}
        assert sizes == {key: value for key, value in everything.items() if key.startswith("part ")}
        assert found.get("whole") == everything.get("whole")
        again = await client.do("PATCH", f"{WIDGETS}/{name}?fieldManager={manager}", body, APPLY)
        # Only the order of items may follow the last who applied, as in kube-apiserver.
        assert _unordered(again.json) == _unordered(reply.json)


def _unordered(obj: Any) -> Any:
    given = obj.get("spec") or {}
    spec = {**given, "tags": sorted(given.get("tags", ()))}
    spec["parts"] = sorted(given.get("parts", ()), key=lambda part: str(part["name"]))
    owners = sorted((entry["manager"], str(entry["fieldsV1"])) for entry in obj["metadata"].get("managedFields", ()))
    return spec, owners
