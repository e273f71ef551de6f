"""Kubernetes-shaped traffic that records what it saw: writers, readers and watches over HTTP."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.robustness.history import History, Operation, Seen, Watch

REQUEST_TIMEOUT_S = 20.0
NAMES = 12  # objects a logical cluster: few, so that writes meet


class Traffic:
    """Writers and watches of `clusters` against `server`; `history` grows until `stop`."""

    def __init__(self, server: str, token: str, authority: str, clusters: list[str], seed: int) -> None:
        self.server, self.clusters, self.seed = server, clusters, seed
        self.headers = {"Authorization": f"Bearer {token}"}
        self.ssl = ssl.create_default_context(cadata=authority)
        self.ssl.check_hostname = False
        self.history = History()
        self.stopping = False
        self.watching = True

    def collection(self, cluster: str) -> str:
        return f"{self.server}/clusters/{cluster}/api/v1/namespaces/default/configmaps"

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.ssl, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(headers=self.headers, connector=connector, timeout=timeout) as session:
            yield session

    async def run_client(self, number: int, pause_s: float) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        serial = 0
        async with self.session() as session:
            while not self.stopping:
                serial += 1
                await self.step(session, number, f"{number}-{serial}", chance)
                await asyncio.sleep(chance.random() * 2 * pause_s)

    async def step(self, session: aiohttp.ClientSession, number: int, value: str, chance: random.Random) -> None:
        cluster, name = chance.choice(self.clusters), f"cm-{chance.randrange(NAMES)}"
        verb = chance.choices(["create", "update", "patch", "delete", "get", "list"], [4, 4, 4, 1, 4, 1])[0]
        operation = Operation(number, verb, cluster, name, 0, 0, "unknown", value=value)  # type: ignore[arg-type]
        if verb in ("get", "list", "delete"):
            operation.value = ""
        operation.called = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await self.send(session, operation)
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError):
            operation.outcome = "unknown"
        operation.returned = time.monotonic()
        self.history.operations.append(operation)
        if operation.outcome == "unknown":
            await asyncio.sleep(0.05)

    async def send(self, session: aiohttp.ClientSession, o: Operation) -> None:
        url = self.collection(o.cluster)
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": o.name, "labels": {"origin": o.cluster}},
            "data": {"value": o.value},
        }
        arguments: dict[str, Any] = {}
        method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(o.verb, "GET")
        if o.verb not in ("create", "list"):
            url += f"/{o.name}"
        if o.verb in ("create", "update"):
            arguments["json"] = document
        if o.verb == "patch":
            arguments["data"] = json.dumps({"data": {"value": o.value}})
            arguments["headers"] = {"Content-Type": "application/merge-patch+json"}
        async with session.request(method, url, **arguments) as answer:
            body = json.loads(await answer.read())
        self.record(o, answer.status, body)

    def record(self, o: Operation, code: int, body: dict[str, Any]) -> None:
        o.code = code
        if o.verb == "get" and code == 404:
            o.outcome = "ok"
        elif code in (200, 201):
            o.outcome = "ok"
            if o.verb == "list":
                o.revision = int(body["metadata"]["resourceVersion"])
                o.items = {i["metadata"]["name"]: (_revision(i), i["data"]["value"]) for i in body["items"]}
            elif o.verb != "delete":
                o.revision = _revision(body)
                o.value = body["data"]["value"]
        elif code in (404, 409, 422, 429):
            o.outcome = "refused"
        else:  # 5xx: a write may have taken effect
            o.outcome = "refused" if o.verb in ("get", "list") else "unknown"

    async def run_watch(self, number: int, cluster: str) -> None:
        async with self.session() as session:
            watch = Watch(number, cluster, await self.newest(session, cluster))
            self.history.watches.append(watch)
            position = watch.start
            while self.watching:
                position = await self.watch_once(session, watch, position)
                watch.reconnects += 1
                await asyncio.sleep(0.02)

    async def watch_once(self, session: aiohttp.ClientSession, watch: Watch, position: int) -> int:
        url = f"{self.collection(watch.cluster)}?watch=1&allowWatchBookmarks=true&resourceVersion={position}"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.get(url, timeout=aiohttp.ClientTimeout(sock_connect=5)) as answer:
                if answer.status != 200:
                    await asyncio.sleep(0.1)
                    return position
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        watch.relists += event["object"].get("code") == 410
                        return position
                    position = _note(watch, event)
        return position

    async def newest(self, session: aiohttp.ClientSession, cluster: str) -> int:
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(self.collection(cluster), params={"limit": "1"}) as answer:
                    if answer.status == 200:
                        return int((await answer.json())["metadata"]["resourceVersion"])
            await asyncio.sleep(0.1)

    async def finish(self) -> None:
        """Read the final state and wait until every watch has shown it."""
        self.stopping = True
        async with self.session() as session:
            for cluster in self.clusters:
                async with session.get(self.collection(cluster)) as answer:
                    items = (await answer.json())["items"]
                found = {i["metadata"]["name"]: (_revision(i), i["data"]["value"]) for i in items}
                self.history.final[cluster] = found
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not all(map(self.caught_up, self.history.watches)):
            await asyncio.sleep(0.1)
        self.watching = False

    def caught_up(self, watch: Watch) -> bool:
        newest = max((r for r, _ in self.history.final[watch.cluster].values()), default=0)
        return max((e.revision for e in watch.events), default=0) >= newest


def _revision(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _note(watch: Watch, event: dict[str, Any]) -> int:
    obj = event["object"]
    revision = _revision(obj)
    if event["type"] == "BOOKMARK":
        watch.events.append(Seen("BOOKMARK", revision))
    else:
        metadata = obj["metadata"]
        origin = metadata.get("labels", {}).get("origin", "")
        watch.events.append(Seen(event["type"], revision, metadata["name"], obj["data"]["value"], origin))
    return revision
