"""The same writes worked out on the loop and in a worker come to the same; nothing stale is ever committed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from kcpshard.api import loop_time
from kcpshard.api.errors import ServerTimeout
from kcpshard.offload.replica import write_job
from kcpshard.offload.writes import OffloadedWrites
from tests.contracts import converting
from tests.contracts.api_client import JSON, MERGE, STRATEGIC, ApiClient, Reply, memory_shard
from tests.contracts.custom_types import CRDS, WIDGETS, crd, established, widget

MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = "application/apply-patch+yaml"
Between = Callable[[], Awaitable[None]]


class ThreadPool:
    """WorkerPool.run on a thread; `between` runs when the work is done and nothing is committed yet."""

    def __init__(self) -> None:
        self.runs = 0
        self.between: Between | None = None

    async def run(self, key: str, function: str, payload: bytes, answer: Callable[[bytes], Awaitable[bytes]]) -> bytes:
        assert function == "kcpshard.offload.replica:write_job"
        self.runs += 1
        loop = asyncio.get_running_loop()

        def ask(question: bytes) -> bytes:
            return asyncio.run_coroutine_threadsafe(answer(question), loop).result(10)  # type: ignore[arg-type]

        result = await asyncio.to_thread(write_job, payload, ask)
        if self.between is not None:
            await self.between()
        return result


@pytest.fixture(autouse=True)
def bounds() -> Iterator[None]:
    loop_time.bound(large_bytes=0, cel_units=0)
    yield
    loop_time.bound(1 << 62, 1 << 62)


@pytest.fixture
async def pool() -> ThreadPool:
    return ThreadPool()


@pytest.fixture
async def client(pool: ThreadPool) -> AsyncIterator[ApiClient]:
    shard = memory_shard()
    shard.elsewhere = OffloadedWrites(pool.run)
    yield ApiClient(shard)
    await shard.store.close()


@pytest.fixture
async def plain() -> AsyncIterator[ApiClient]:
    shard = memory_shard()
    yield ApiClient(shard)
    await shard.store.close()


def config_map(name: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **members}


def comparable(reply: Reply) -> Any:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            different = ("uid", "resourceVersion", "creationTimestamp", "time")
            return {k: "" if k in different else walk(v) for k, v in value.items()}
        return [walk(v) for v in value] if isinstance(value, list) else value

    return reply.code, walk(reply.json), list(reply.answer.warnings), reply.answer.retry_after_s, reply.waited


STEPS: list[tuple[str, str, Any, str]] = [
    ("POST", MAPS, config_map("a", data={"x": "1"}), ""),
    ("POST", MAPS, config_map("a"), ""),
    ("POST", MAPS, config_map("B!"), ""),
    ("POST", MAPS, {"kind": "Pod"}, ""),
    ("POST", MAPS, config_map("dry"), ""),
    ("POST", MAPS + "?dryRun=All", config_map("dried", data={"x": "1"}), ""),
    ("POST", MAPS, config_map("unknown", nonsense=1), ""),
    ("POST", "/api/v1/namespaces/none/configmaps", config_map("a"), ""),
    ("PUT", f"{MAPS}/a", config_map("a", data={"x": "2"}), ""),
    ("PUT", f"{MAPS}/a", config_map("a", data={"x": "2"}), ""),
    ("PUT", f"{MAPS}/missing", config_map("missing"), ""),
    ("PATCH", f"{MAPS}/a", {"data": {"y": "3"}}, MERGE),
    ("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/f"]}}, STRATEGIC),
    ("PATCH", f"{MAPS}/a", [{"op": "add", "path": "/data/z", "value": "4"}], JSON),
    ("PATCH", f"{MAPS}/a", [{"op": "remove", "path": "/data/none"}], JSON),
    ("PATCH", f"{MAPS}/a?fieldManager=m", config_map("a", data={"x": "5"}), APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=m&force=true", config_map("a", data={"x": "5"}), APPLY),
    ("PATCH", f"{MAPS}/new?fieldManager=m", config_map("new", data={"x": "5"}), APPLY),
    ("DELETE", f"{MAPS}/a", None, ""),
    ("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, MERGE),
    ("DELETE", f"{MAPS}/new", None, ""),
    ("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, ""),
]


async def test_a_worker_comes_to_what_the_loop_comes_to(client: ApiClient, plain: ApiClient, pool: ThreadPool) -> None:
    for method, path, body, content_type in STEPS:
        there = await client.do(method, path, body, content_type or "application/json")
        with loop_time.unbounded():
            here = await plain.do(method, path, body, content_type or "application/json")
        assert comparable(there) == comparable(here), (method, path, body)
    assert pool.runs > len(STEPS) / 2
    assert (await client.do("GET", MAPS)).names == (await plain.do("GET", MAPS)).names


async def test_the_answer_shows_the_revision_that_was_committed(client: ApiClient) -> None:
    reply = await client.do("POST", MAPS, config_map("a", data={"x": "1"}))
    assert reply.json == (await client.do("GET", f"{MAPS}/a")).json
    assert reply.waited


async def test_a_patch_of_what_has_changed_meanwhile_is_worked_out_anew(client: ApiClient, pool: ThreadPool) -> None:
    await client.do("POST", MAPS, config_map("a", data={"x": "1"}))
    pool.runs = 0

    async def change() -> None:
        pool.between = None
        with loop_time.unbounded():
            assert (await client.do("PATCH", f"{MAPS}/a", {"data": {"other": "2"}}, MERGE)).code == 200

    pool.between = change
    reply = await client.do("PATCH", f"{MAPS}/a", {"data": {"mine": "3"}}, MERGE)
    assert reply.json["data"] == {"x": "1", "other": "2", "mine": "3"}
    assert pool.runs == 2


async def test_a_name_taken_meanwhile_is_taken(client: ApiClient, pool: ThreadPool) -> None:
    async def take() -> None:
        pool.between = None
        with loop_time.unbounded():
            await client.do("POST", MAPS, config_map("a", data={"first": "1"}))

    await client.do("POST", MAPS, config_map("other"))
    pool.between = take
    assert (await client.do("POST", MAPS, config_map("a", data={"second": "1"}))).code == 409
    assert (await client.do("GET", f"{MAPS}/a")).json["data"] == {"first": "1"}


async def test_a_namespace_that_ends_meanwhile_takes_nothing_more(client: ApiClient, pool: ThreadPool) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    await client.do("POST", "/api/v1/namespaces", namespace)

    async def end() -> None:
        pool.between = None
        with loop_time.unbounded():
            await client.do("DELETE", "/api/v1/namespaces/n")

    pool.between = end
    assert (await client.do("POST", "/api/v1/namespaces/n/configmaps", config_map("a"))).code == 403


async def test_what_always_changes_is_given_up(client: ApiClient, pool: ThreadPool) -> None:
    await client.do("POST", MAPS, config_map("a"))
    rounds = iter(range(100))

    async def change() -> None:
        with loop_time.unbounded():
            await client.do("PATCH", f"{MAPS}/a", {"data": {"n": str(next(rounds))}}, MERGE)

    pool.between = change
    reply = await client.do("PATCH", f"{MAPS}/a", {"data": {"mine": "1"}}, MERGE)
    assert reply.code == ServerTimeout.code
    assert "mine" not in (await client.do("GET", f"{MAPS}/a")).json["data"]


async def test_custom_types_are_compiled_there() -> None:
    loop_time.bound(1 << 62, 1 << 62)
    pool = ThreadPool()
    async with established() as client:
        client.shard.elsewhere = OffloadedWrites(pool.run)  # type: ignore[arg-type]
        loop_time.bound(large_bytes=0, cel_units=0)
        good = await client.do("POST", WIDGETS, widget("w", {"size": 3}))
        assert good.json["spec"] == {"size": 3, "color": "red"}
        bad = await client.do("POST", WIDGETS, widget("x", {"size": 30}))
        assert (bad.code, pool.runs) == (422, 2)
        assert (await client.do("POST", WIDGETS, {"apiVersion": "v1", "kind": "Pod", "metadata": {}})).code == 400
        assert (await client.do("PATCH", f"{WIDGETS}/w", {"spec": {"size": 4}}, MERGE)).json["spec"]["size"] == 4
        assert (await client.do("POST", CRDS, crd(plural="gadgets", kind="Gadget"))).code == 201


async def test_what_a_webhook_converts_is_worked_out_here(pool: ThreadPool) -> None:
    """A worker has nobody to ask, and must not pass an object off as converted."""
    async with converting.converting() as it:
        it.client.shard.elsewhere = OffloadedWrites(pool.run)
        made = await it.client.create(converting.ENDPOINTS_V2, converting.ending("v2", "a"))
        assert made["spec"] == {"host": "localhost", "port": "8080"}
        assert (await it.client.get(f"{converting.ENDPOINTS_V1}/a"))["spec"] == {"hostPort": "localhost:8080"}
        assert pool.runs == 1
        changed = await it.client.patch(f"{converting.ENDPOINTS_V2}/a", {"spec": {"port": "9"}}, MERGE)
        assert changed["spec"]["port"] == "9"
        assert (await it.client.get(f"{converting.ENDPOINTS_V1}/a"))["spec"] == {"hostPort": "localhost:9"}


async def test_a_transaction_is_worked_out_as_a_whole(client: ApiClient, pool: ThreadPool) -> None:
    await client.do("POST", MAPS, config_map("there"))
    before = pool.runs
    url = "/apis/changes.kcp.io/v1alpha1/transactions?fieldManager=m"
    objects = [config_map(name, data={"x": "1"}) for name in ("a", "b", "there")]
    for each in objects:
        each["metadata"]["namespace"] = "default"
    operations = [{"verb": "Apply", "object": each} for each in objects]
    body = {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Transaction", "spec": {"operations": operations}}
    reply = await client.do("POST", url, body)
    assert reply.code == 201 and pool.runs == before + 1, reply.json
    status = reply.json["status"]
    assert [result["outcome"] for result in status["results"]] == ["Created", "Created", "Configured"]
    for result in status["results"]:
        stored = (await client.do("GET", f"{MAPS}/{result['object']['metadata']['name']}")).json
        assert stored == result["object"]
        assert stored["metadata"]["resourceVersion"] == status["resourceVersion"]

    async def meanwhile() -> None:
        pool.between = None
        loop_time.bound(1 << 62, 1 << 62)
        await client.do("PATCH", f"{MAPS}/a", {"data": {"y": "2"}}, MERGE)
        loop_time.bound(large_bytes=0, cel_units=0)

    pool.between = meanwhile
    for each in objects:
        each["data"] = {"x": "3"}
    assert (await client.do("POST", url, body)).code == 201
    assert (await client.do("GET", f"{MAPS}/a")).json["data"] == {"x": "3", "y": "2"}
