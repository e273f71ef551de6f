"""Shards with the controllers of API sharing, an exporter of Widgets, and what binds it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from kcpshard.controllers import api_bindings, api_exports
from kcpshard.controllers.assembly import assemble
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.verbs.shard import SYSTEM
from tests.contracts.api_client import ApiClient
from tests.contracts.shards_tier import ShardsTier

NEW, OLD = "/apis/apis.kcp.io/v1alpha2", "/apis/apis.kcp.io/v1alpha1"
EXPORTS, BINDINGS, SCHEMAS = f"{NEW}/apiexports", f"{NEW}/apibindings", f"{OLD}/apiresourceschemas"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
CLAIM = {"group": "", "resource": "configmaps", "verbs": ["*"]}
ACCEPTED = {**CLAIM, "state": "Accepted", "selector": {"matchAll": True}}
SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}


def schema(name: str = "v1.widgets.example.com", plural: str = "widgets", raw: Any = None, **spec: Any) -> Any:
    kind = plural.capitalize().removesuffix("s")
    return {
        "apiVersion": "apis.kcp.io/v1alpha1",
        "kind": "APIResourceSchema",
        "metadata": {"name": name},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": raw or SCHEMA, "subresources": {"status": {}}}
            ],
            **spec,
        },
    }


def offer(schema_name: str = "v1.widgets.example.com", plural: str = "widgets") -> dict[str, Any]:
    return {"name": plural, "group": "example.com", "schema": schema_name, "storage": {"crd": {}}}


def export(name: str = "widgets", resources: Sequence[Any] = (), **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apis.kcp.io/v1alpha2",
        "kind": "APIExport",
        "metadata": {"name": name},
        "spec": {"resources": list(resources) or [offer()], **spec},
    }


def binding(name: str = "widgets", path: str = "exporter", claims: Sequence[Any] = (), of: str = "widgets") -> Any:
    reference = {"export": {"path": path, "name": of}}
    return {
        "apiVersion": "apis.kcp.io/v1alpha2",
        "kind": "APIBinding",
        "metadata": {"name": name},
        "spec": {"reference": reference, **({"permissionClaims": list(claims)} if claims else {})},
    }


def widget(name: str = "w", size: int = 1, **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, **meta}
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": size}}


class SharedApis:
    """The tier with its controllers running. `exporter` is on the first shard, `consumer` on the last."""

    def __init__(self, tier: ShardsTier) -> None:
        self.tier = tier
        tier.home |= {"exporter": 1, "consumer": tier.number_of_shards, "other": 1}
        self.exporter, self.consumer = tier.client("exporter"), tier.client("consumer")
        self.runners: dict[int, Any] = {}
        self._running: list[asyncio.Task[None]] = []
        for number in tier.members:
            self.run(number)

    def run(self, number: int) -> None:
        """The controllers of a shard, and the way from it to the others."""
        shard = self.tier.members[number].shard
        shard.ask = self._ask
        shard.directory.connect(self._ask, SYSTEM, self.tier.tasks)
        enabled = frozenset((api_exports.CONTROLLER, api_bindings.CONTROLLER, "namespace-controller"))
        runner = self.runners[number] = assemble(shard, enabled)
        self._running.append(self.tier.tasks.create_task(runner.run()))

    async def _ask(self, request: pb.Request, timeout_s: float) -> Result:
        copy = pb.Request()
        copy.CopyFrom(request)
        return await self.tier.router.call(copy, asyncio.get_running_loop().time() + timeout_s)

    async def restart(self) -> None:
        """Every process, at the same time."""
        for task in self._running:
            task.cancel()
        self._running.clear()
        for number in self.tier.members:
            await self.tier.restart(number)
            self.run(number)
        self.exporter, self.consumer = self.tier.client("exporter"), self.tier.client("consumer")

    async def publish(self, **spec: Any) -> None:
        await self.exporter.create(SCHEMAS, schema())
        await self.exporter.create(EXPORTS, export(**spec))
        await self.until(self.exporter, f"{EXPORTS}/widgets", lambda found: found["status"]["identityHash"])

    async def bind(self, client: ApiClient | None = None, **changes: Any) -> Any:
        client = client or self.consumer
        made = binding(**changes)
        await client.create(BINDINGS, made)
        return await self.until(
            client, f"{BINDINGS}/{made['metadata']['name']}", lambda found: found["status"]["phase"] == "Bound"
        )

    async def until(self, client: ApiClient, url: str, holds: Any) -> Any:
        """Look again and again; what is there when it holds."""
        async with asyncio.timeout(60):
            while True:
                reply = await client.do("GET", url)
                try:
                    if reply.code == 200 and holds(reply.json):
                        return reply.json
                except (KeyError, TypeError, StopIteration):
                    pass
                await asyncio.sleep(0.005)

    async def through_view(
        self, method: str, url: str, cluster: str = "consumer", body: Any = None, client: ApiClient | None = None
    ) -> Any:
        """A request by the exporter, as the router would pass it on."""
        asking = ApiClient((client or self.exporter).shard, cluster, (client or self.exporter).identity)
        request = asking.request(method, url, body, "application/merge-patch+json" if method == "PATCH" else "")
        request.view = b'["exporter","widgets"]'
        return await self.tier.router.call(request, asyncio.get_running_loop().time() + 10)

    async def list_view(self, url: str, cluster: str = "*", client: ApiClient | None = None) -> Any:
        return await self.tier.list(url, cluster, (client or self.exporter).identity, b'["exporter","widgets"]')

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await self.tier.close()


def condition(obj: Any, type_: str) -> tuple[str, str]:
    found = next(each for each in obj["status"]["conditions"] if each["type"] == type_)
    return found["status"], found.get("reason", "")


@pytest.fixture(params=[1, 2])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[SharedApis]:
    async with asyncio.TaskGroup() as tasks:
        found = SharedApis(ShardsTier(request.param, tasks))
        try:
            yield found
        finally:
            await found.close()
