"""What definitions cost a shard: the 500th beside the first, memory of 500, of the same in 100 logical clusters.

    python -m benchmarks.definitions [DEFINITIONS] [LOGICAL CLUSTERS]

Definitions have the sizes of those that operators bring: most 8 kB, some 60 kB, a few 300 kB. One shard's parts in this
process, on RocksDB in a temporary directory; memory is what the process has more than before. Copies in further logical
clusters are put into the store as they are kept; then each of them reads and writes an object.
"""

import asyncio
import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.settings import Settings
from kcpshard.storage import envelope
from kcpshard.storage.contract import Put
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.verbs.shard import Shard
from tests.contracts.api_client import ApiClient, Everything

URL = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OBJECTS = 10_000
SIZES = (8_000,) * 40 + (60_000,) * 9 + (300_000,)


def schema(size: int) -> dict[str, Any]:
    """About `size` bytes of JSON: objects, lists of objects, maps, enums and texts, as deep as pod templates are."""
    text = "What this field is for, said in a sentence or two so that people who explain it know what it does. "
    left = size

    def fields(depth: int) -> Iterator[tuple[str, Any]]:
        nonlocal left
        for number in range(12):
            if left <= 0:
                return
            left -= 170
            leaf: dict[str, Any] = {"type": "string", "description": text}
            if number % 4 == 1:
                leaf = {"type": "integer", "format": "int32", "minimum": 0, "description": text}
            elif number % 4 == 2:
                leaf = {"type": "array", "items": {"type": "string"}, "description": text}
            elif number % 4 == 3 and depth:
                inner = {"type": "object", "properties": dict(fields(depth - 1)), "description": text}
                leaf = inner if number % 8 == 3 else {"type": "array", "items": inner, "description": text}
            yield f"field{number}of{depth}", leaf

    spec: dict[str, Any] = {}
    while left > 0:
        spec[f"part{len(spec)}"] = {"type": "object", "properties": dict(fields(5)), "description": text}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}


def definition(number: int) -> dict[str, Any]:
    size = SIZES[number % len(SIZES)]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{number}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": f"things{number}", "kind": f"Thing{number}"},
            "versions": [
                {
                    "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema(size + number)},
                }
            ],
        },
    }  # fmt: skip


def resident_mb() -> float:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def use(client: ApiClient, number: int) -> None:
    url = f"/apis/example.com/v1/namespaces/default/things{number}"
    while True:
        body = {"apiVersion": "example.com/v1", "kind": f"Thing{number}", "metadata": {"name": "a"}, "spec": {}}
        reply = await client.do("POST", url, body)
        if reply.code == 201:
            return
        assert reply.code == 404, reply.json
        await asyncio.sleep(0.001)


class Stalls:
    """The longest time that the loop was held, in CPU of its thread: other processes of a busy machine do not count."""

    def __init__(self) -> None:
        self.longest, self.over = 0.0, 0

    async def run(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            held = time.thread_time() - before
            self.longest, self.over = max(self.longest, held), self.over + (held > 0.005)


async def measure(count: int, clusters: int, directory: str) -> None:
    settings = Settings(write_buffer_bytes=8 << 20, block_cache_bytes=8 << 20)
    store = Store(RocksdbEngine(directory, settings), 1, lambda: time.time_ns() // 1000, settings)
    catalog = Catalog()
    shard = Shard(store, catalog, Everything(), lambda: time.time_ns() // 1000)
    client = ApiClient(shard)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(CustomDefinitions(shard, catalog).run())
        await client.do("POST", "/api/v1/namespaces", {"metadata": {"name": "x"}})
        for number in range(count, count + 50):  # warm
            await client.create(URL, definition(number))
        await use(client, count)
        before = resident_mb()
        documents = [definition(number) for number in range(count)]
        base = resident_mb()
        taken = []
        for document in documents:
            began = time.thread_time()
            await client.create(URL, document)
            taken.append(time.thread_time() - began)
        del documents, document
        after = resident_mb()
        small = [t * 1e3 for n, t in enumerate(taken) if SIZES[n % len(SIZES)] == SIZES[0]]
        print(
            f"definitions of 8 kB, ms of CPU on the loop: first 40 {statistics.median(small[:40]):.2f}, last 40 ",
            end="",
        )
        print(f"{statistics.median(small[-40:]):.2f}; sample documents took {base - before:.0f} MB")
        print(f"{count} definitions, none used: {after - before:.1f} MB")
        for number in range(count):
            await use(client, number)
        used = resident_mb()
        print(f"{count} definitions, an object of each: {used - before:.1f} MB")
        await copy(shard, clusters, count)
        many = resident_mb()
        print(f"the same in {clusters} logical clusters, put there: {many - before:.1f} MB")
        for place in range(clusters):
            other = ApiClient(shard, f"copy{place}")
            await other.create("/api/v1/namespaces", {"metadata": {"name": "default"}})
            await use(other, place % count)
            assert other.shard.catalog.document(store.find_cluster(f"copy{place}"), "/apis/example.com/v1", "", "")
        print(f"each with an object and its discovery read: {resident_mb() - before:.1f} MB")
        await clean_up(client, tasks)
        running.cancel()
    await store.close()


async def clean_up(client: ApiClient, tasks: asyncio.TaskGroup) -> None:
    """A definition goes, and its objects with it, while the loop serves others."""
    await client.create(URL, definition(100_000))
    await use(client, 100_000)
    url = "/apis/example.com/v1/namespaces/default/things100000"
    for number in range(OBJECTS):
        body = {"apiVersion": "example.com/v1", "kind": "Thing100000", "metadata": {"name": f"o{number}"}, "spec": {}}
        await client.create(url, body)
    gc.collect()
    gc.freeze()  # as a shard does once it has started
    stalls = Stalls()
    watching = tasks.create_task(stalls.run())
    began = time.monotonic()
    await client.do("DELETE", f"{URL}/things100000.example.com")
    while (await client.do("GET", f"{URL}/things100000.example.com")).code != 404:
        await asyncio.sleep(0.01)
    watching.cancel()
    print(f"{OBJECTS} objects gone with their definition in {time.monotonic() - began:.1f} s; ", end="")
    print(f"a turn of the loop took at most {stalls.longest * 1e3:.1f} ms, {stalls.over} times over 5 ms")


async def copy(shard: Shard, clusters: int, count: int) -> None:
    store = shard.store
    source = store.find_cluster("root")
    assert source is not None
    resource_ = shard.catalog.find(source, "apiextensions.k8s.io", "v1", "customresourcedefinitions")
    assert resource_ is not None
    names = [f"things{number}.example.com" for number in range(count)]
    for place in range(clusters):
        puts = []
        for name in names:
            value = store.get(source, CRDS, "", name)
            assert value is not None
            body = envelope.body_at(value, 0)
            fields = dict(envelope.fields(value))
            puts.append(
                Put(
                    CRDS, "", name, body, envelope.hole(value), envelope.annotations_offset(body, envelope.hole(value)),
                    envelope.uid(value), envelope.api_version(value), {}, fields, envelope.fingerprint(value), 0,
                )
            )  # fmt: skip
        cluster, pending = store.create_cluster(f"copy{place}", puts[:1])
        for start in range(1, len(puts), 50):
            pending = store.commit(cluster, puts[start : start + 50])
            done = asyncio.Event()
            pending.group.when_durable(done.set)
            await done.wait()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(measure(*(numbers or [500, 100])[:2], made))  # type: ignore[call-arg]
