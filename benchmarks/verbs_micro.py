"""What verbs cost in one shard, without gRPC and without HTTP: microseconds per request, median of several runs.

python benchmarks/verbs_micro.py        KCP_VERIFY must be off: it checks what production does not
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import orjson

from kcpshard.api.requests import Answer
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import AfterSync
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap, memory_shard

RUNS, DATA = 7, {"key": "x" * 700, "other": "y" * 100}
LABELS = {"app.kubernetes.io/name": "benchmark", "tier": "backend"}


def measure(name: str, count: int, step: Callable[[int], Any]) -> None:
    taken = []
    for run in range(RUNS):
        start = time.perf_counter()
        for at in range(count):
            step(run * count + at)
        taken.append((time.perf_counter() - start) / count * 1e6)
    print(f"{name:<44} {statistics.median(taken):8.1f} µs   (best {min(taken):.1f})")


class NoCommit:
    """The store, but writes are only pretended: what is left is the verb."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.pending_commit: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *_arguments: Any) -> Any:
        return self.pending_commit


async def main() -> None:
    client = ApiClient(memory_shard(lambda: int(time.time() * 1e6)))  # type: ignore[arg-type]
    shard = client.shard
    for at in range(500):
        await client.create(CONFIGMAPS, configmap(f"object-{at:04}", DATA, labels=LABELS))
    requests = [client.request("GET", f"{CONFIGMAPS}/object-{at:04}") for at in range(500)]
    measure("get 1 kB", 5000, lambda at: dispatch(shard, requests[at % 500]))
    whole, chosen = client.request("GET", CONFIGMAPS), client.request("GET", CONFIGMAPS + "?labelSelector=tier=backend")
    assert isinstance(dispatch(shard, whole), Answer)
    measure("list of 500", 40, lambda at: dispatch(shard, whole))
    measure("list of 500, label selector", 40, lambda at: dispatch(shard, chosen))
    ten = client.request("GET", CONFIGMAPS + "?limit=10")
    measure("list, first page of 10", 500, lambda at: dispatch(shard, ten))

    outcome = dispatch(shard, client.request("POST", CONFIGMAPS, configmap("kept", DATA, labels=LABELS)))
    assert isinstance(outcome, AfterSync)
    await asyncio.sleep(0.05)
    fake = NoCommit(shard.store)
    cluster = shard.store.pending_cluster("root")
    assert cluster is not None
    value = shard.store.pending(cluster, "configmaps", "default", "kept")
    fake.pending_commit = type("Pending", (), {"values": [value], "group": None, "revision": 1})
    real_store, shard.store = shard.store, fake  # type: ignore[assignment]
    body = orjson.dumps(configmap("new", DATA, labels=LABELS))
    creation = client.request("POST", CONFIGMAPS, body)
    measure("create 1 kB, without the store's commit", 2000, lambda at: dispatch(shard, creation))
    update = client.request("PUT", f"{CONFIGMAPS}/kept", configmap("kept", {**DATA, "n": "1"}, labels=LABELS))
    measure("update 1 kB, without the store's commit", 2000, lambda at: dispatch(shard, update))
    patch = client.request("PATCH", f"{CONFIGMAPS}/kept", {"data": {"n": "1"}}, MERGE)
    measure("merge patch of 1 kB, without commit", 2000, lambda at: dispatch(shard, patch))
    deletion = client.request("DELETE", f"{CONFIGMAPS}/kept")
    measure("delete 1 kB, without the store's commit", 2000, lambda at: dispatch(shard, deletion))
    shard.store = real_store
    creations = [
        client.request("POST", CONFIGMAPS, configmap(f"n{at:05}", DATA, labels=LABELS)) for at in range(7 * 200)
    ]
    measure("create 1 kB, memory engine, commit included", 200, lambda at: dispatch(shard, creations[at]))
    await asyncio.sleep(0.1)
    await shard.store.close()


if __name__ == "__main__":
    assert pb.GET == 1
    asyncio.run(main())
