"""Definitions of a custom type for tests: Widgets, in as many versions as wanted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.definitions.catalog import Catalog
from tests.contracts.api_client import ApiClient, memory_shard

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "maximum": 5},
                "color": {"type": "string", "default": "red"},
                "replicas": {"type": "integer"},
            },
        },
        "status": {"type": "object", "properties": {"ready": {"type": "integer"}, "selector": {"type": "string"}}},
    },
}


def version(name: str = "v1", storage: bool = True, schema: Any = None, **members: Any) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema or SCHEMA},
        **members,
    }


def crd(*versions: Any, plural: str = "widgets", kind: str = "Widget", scope: str = "Namespaced") -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions) or [version(subresources={"status": {}})],
        },
    }


def widget(name: str, spec: Any = None, api_version: str = "example.com/v1", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name, **meta}, "spec": spec or {}}


@asynccontextmanager
async def established(*versions: Any) -> AsyncIterator[ApiClient]:
    """A client of a shard whose logical cluster serves Widgets in these versions; definitions go on being served."""
    found = ApiClient(memory_shard())
    assert isinstance(found.shard.catalog, Catalog)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(CustomDefinitions(found.shard, found.shard.catalog).run())
        await found.create(CRDS, crd(*versions))
        async with asyncio.timeout(60):
            while (await found.do("GET", WIDGETS)).code != 200:
                await asyncio.sleep(0)
        yield found
        task.cancel()
    await found.shard.store.close()
