"""A logical cluster that serves the full set, with a namespace's account, for tests of single verbs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.contracts.api_client import ApiClient, memory_shard

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


@asynccontextmanager
async def full_cluster() -> AsyncIterator[ApiClient]:
    client = ApiClient(memory_shard(api_set="full"))
    await client.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    yield client
    await client.shard.store.close()


def pod(name: str, **spec: Any) -> dict[str, Any]:
    found = {"containers": [{"name": "a", "image": "x"}], "automountServiceAccountToken": False, **spec}
    return {"metadata": {"name": name, "labels": {"app": "a"}}, "spec": found}


def budget(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "a"}}, **spec}}
