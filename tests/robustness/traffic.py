"""Kubernetes-shaped traffic that records what it saw: writers, readers and watches over HTTP."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp

from tests.robustness.history import Birth, History, Operation, Seen, Watch

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
        self.lists_allowed = True
        self.listing = 0  # lists under way
        self.watching = True

    def namespaces(self, cluster: str) -> str:
        return f"{self.server}/clusters/{cluster}/api/v1/namespaces"

    def collection(self, cluster: str) -> str:
        return f"{self.namespaces(cluster)}/default/configmaps"

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.ssl, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(
            headers=self.headers, connector=connector, timeout=timeout, middlewares=(sent_once,)
        ) as session:
            yield session

    async def give_life(self) -> None:
        """To every logical cluster: a watch cannot resume from before the birth. By an object that nobody watches."""
        async with self.session() as session:
            for cluster in self.clusters:
                document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first"}}
                await self.until(session, "POST", f"{self.namespaces(cluster)}/default/secrets", (201, 409), document)

    async def until(
        self, session: aiohttp.ClientSession, method: str, url: str, codes: tuple[int, ...], document: Any = None
    ) -> Any:
        """The answer's document, once its code is one of `codes`."""
        deadline = time.monotonic() + 60
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError):
                async with asyncio.timeout(REQUEST_TIMEOUT_S), session.request(method, url, json=document) as answer:
                    if answer.status in codes:
                        return json.loads(await answer.read())
            _check_cancelled()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {url} does not succeed")
            await asyncio.sleep(0.1)

    async def run_births(self, prefix: str, pause_s: float) -> None:
        """New logical clusters, one after the other."""
        async with self.session() as session:
            while not self.stopping:
                cluster = f"{prefix}-{len(self.history.births)}"
                birth = Birth(cluster, "unknown", f"born-{cluster}")
                self.history.births.append(birth)
                operation = Operation(-1, "create", cluster, "first", 0, 0, "unknown", value=birth.value)
                with suppress(aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError):
                    async with asyncio.timeout(REQUEST_TIMEOUT_S):
                        await self.send(session, operation)
                birth.outcome, birth.revision = operation.outcome, operation.revision
                _check_cancelled()
                await asyncio.sleep(pause_s)

    async def look_at_births(self, session: aiohttp.ClientSession) -> None:
        for birth in self.history.births:
            document = await self.until(session, "GET", self.collection(birth.cluster), (200,))
            birth.found = _ours(document).get("first")
            items = (await self.until(session, "GET", self.namespaces(birth.cluster), (200,)))["items"]
            birth.namespaces = [i["metadata"]["name"] for i in items]

    async def run_client(self, number: int, pause_s: float) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        serial = 0
        async with self.session() as session:
            while not self.stopping:
                serial += 1
                await self.step(session, number, f"{number}-{serial}", chance)
                _check_cancelled()
                await asyncio.sleep(chance.random() * 2 * pause_s)

    async def step(self, session: aiohttp.ClientSession, number: int, value: str, chance: random.Random) -> None:
        cluster, name = chance.choice(self.clusters), f"cm-{chance.randrange(NAMES)}"
        verb = chance.choices(
            ["create", "update", "patch", "delete", "get", "list"], [4, 4, 4, 1, 4, int(self.lists_allowed)]
        )[0]
        operation = Operation(number, verb, cluster, name, 0, 0, "unknown", value=value)  # type: ignore[arg-type]
        if verb in ("get", "list", "delete"):
            operation.value = ""
        operation.called = time.monotonic()
        try:
            with self._listing(verb == "list"):
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await self.send(session, operation)
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError):
            operation.outcome = "unknown"
        operation.returned = time.monotonic()
        self.history.operations.append(operation)
        if operation.outcome == "unknown":
            await asyncio.sleep(0.05)

    async def without_lists(self) -> None:
        """No more lists from here on. Returns when those under way have been answered, those that each watch begins
        with too."""
        self.lists_allowed = False
        while self.listing or len(self.history.watches) < 2 * len(self.clusters):
            _check_cancelled()
            await asyncio.sleep(0.05)

    @contextmanager
    def _listing(self, is_list: bool = True) -> Iterator[None]:
        self.listing += is_list
        try:
            yield
        finally:
            self.listing -= is_list

    async def send(self, session: aiohttp.ClientSession, o: Operation) -> None:
        url = self.collection(o.cluster)
        document = _configmap(o.cluster, o.name, o.value)
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
                o.items = _ours(body)
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
                if position < 0:  # 410: from here on it is another watch
                    position = await self.newest(session, cluster)
                    watch = Watch(number, cluster, position, relists=1)
                    self.history.watches.append(watch)
                watch.reconnects += 1
                _check_cancelled()
                await asyncio.sleep(0.02)

    async def watch_once(self, session: aiohttp.ClientSession, watch: Watch, position: int) -> int:
        """The position to go on from; negative: it is too old."""
        url = f"{self.collection(watch.cluster)}?watch=1&allowWatchBookmarks=true&resourceVersion={position}"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.get(url, timeout=aiohttp.ClientTimeout(sock_connect=5)) as answer:
                if answer.status != 200:
                    await asyncio.sleep(0.1)
                    return -1 if answer.status == 410 else position
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return -1 if event["object"].get("code") == 410 else position
                    position = _note(watch, event)
        return position

    async def newest(self, session: aiohttp.ClientSession, cluster: str) -> int:
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError), self._listing():
                async with session.get(self.collection(cluster), params={"limit": "1"}) as answer:
                    if answer.status == 200:
                        return int((await answer.json())["metadata"]["resourceVersion"])
            _check_cancelled()
            await asyncio.sleep(0.1)

    async def finish(self) -> None:
        """Read the final state and wait until every watch has shown it. The clients have ended before."""
        await asyncio.sleep(0.5)  # for writes whose client went without an answer
        async with self.session() as session:
            await self.look_at_births(session)
            for cluster in self.clusters:
                # The last write of all: a watch that has shown it has shown a deletion before it as well.
                await self.until(session, "POST", self.collection(cluster), (201, 409), _configmap(cluster, "last", ""))
                document = await self.until(session, "GET", self.collection(cluster), (200,))
                self.history.final[cluster] = _ours(document)
        deadline = time.monotonic() + 30
        newest = {(watch.client, watch.cluster): watch for watch in self.history.watches}
        while time.monotonic() < deadline and not all(map(self.caught_up, newest.values())):
            await asyncio.sleep(0.1)
        self.watching = False

    def reconnects(self) -> int:
        """Watch connections that were opened anew."""
        return sum(watch.reconnects for watch in self.history.watches)

    def caught_up(self, watch: Watch) -> bool:
        newest = max((r for r, _ in self.history.final[watch.cluster].values()), default=0)
        return max((e.revision for e in watch.events), default=watch.start) >= newest


async def sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends GET, PUT and DELETE a second time by itself when a connection breaks. A second PUT is another
    write, and who asked for one cannot tell: what broke must come out as broken."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError("the connection broke") from error


def _check_cancelled() -> None:
    """A cancellation that met a breaking connection comes out of aiohttp as the connection's error."""
    if (me := asyncio.current_task()) is not None and me.cancelling():
        raise asyncio.CancelledError


def _configmap(cluster: str, name: str, value: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"origin": cluster}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


def _revision(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _origin(obj: dict[str, Any]) -> str:
    """Where our clients wrote it to; empty for what the shard itself publishes into every namespace."""
    origin: str = obj["metadata"].get("labels", {}).get("origin", "")
    return origin


def _ours(document: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {i["metadata"]["name"]: (_revision(i), i["data"]["value"]) for i in document["items"] if _origin(i)}


def _note(watch: Watch, event: dict[str, Any]) -> int:
    obj = event["object"]
    revision = _revision(obj)
    if event["type"] == "BOOKMARK":
        watch.events.append(Seen("BOOKMARK", revision))
    elif origin := _origin(obj):
        metadata = obj["metadata"]
        watch.events.append(Seen(event["type"], revision, metadata["name"], obj["data"]["value"], origin))
    return revision
