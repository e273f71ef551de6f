"""Finds out whether the servers behind APIServices answer, and writes it into their condition Available.

As kube-apiserver's controller: the Service and its endpoints are looked at, then the server is asked for the discovery
document of its group version. What it says there, and where its OpenAPI document is, goes to `definitions.remote_apis`.
By the clock and not by changes alone: every half minute while all is well, at most so seldom while it is not. A logical
cluster without such an APIService costs nothing. Before the first question the ConfigMap is there by which the server
knows our requests (`front_proxy_config`).
"""

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.api.events import Commit
from kcpshard.api.objects import timestamp
from kcpshard.callouts.answers import Answer
from kcpshard.callouts.errors import CalloutError
from kcpshard.callouts.targets import ClientConfig, target
from kcpshard.controllers.front_proxy_config import FrontProxyConfig
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Object
from kcpshard.definitions.local_api_services import API_SERVICES
from kcpshard.definitions.remote_apis import OWN_HEADERS, Described, RemoteApi, RemoteApis, names_server, remote_api
from kcpshard.definitions.service_endpoints import SLICES, ServiceEndpoints
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, ReadOnly
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import Shard

_log = logging.getLogger(__name__)

NAME = "apiservice-status-remote-available-controller"
GOOD_S, FIRST_BAD_S, PAUSE_S = 30.0, 2.0, 1.0  # until the next look; the least between two
_PROBE_S = 5.0
_AT_ONCE = 8
_DOCUMENT_BYTES = 256 << 10  # larger discovery documents are not read
_ADDRESSES = frozenset(("services", SLICES, "endpoints"))
_LOCAL = ("True", "Local", "Local APIServices are always available")
_PASSED = ("True", "Passed", "all checks passed")

Place = tuple[int, str]  # logical cluster and name
State = tuple[str, str, str]  # status, reason and message of the condition


class _Plan(NamedTuple):
    """Of one APIService: when it is looked at next, and how long it has been waited after failures."""

    due: float
    wait_s: float


class RemoteApiProbes:
    """`run` goes on until cancelled. Made before the first commit that it shall see."""

    def __init__(self, shard: Shard, remote: RemoteApis, config: FrontProxyConfig, clock: Callable[[], float]) -> None:
        self._shard, self._remote, self._config, self._clock = shard, remote, config, clock
        self._types = ResourceTypes(shard.catalog)
        self._client = SystemClient(shard, "apiservice-status-controller")
        self._services = ServiceEndpoints(shard.store)
        self._plans: dict[Place, _Plan] = {}
        self._names: dict[int, set[str]] = {}  # of those in `_plans`, by logical cluster
        self._timers: list[tuple[float, Place]] = []  # heap; what `_plans` no longer says is passed over
        self._active: set[Place] = set()
        self._wake = asyncio.Event()
        shard.store.on_commit(self._see)

    async def run(self) -> None:
        self._active.clear()
        for cluster_id in self._shard.store.clusters_with(API_SERVICES):
            cluster = self._shard.store.cluster_by_id(cluster_id)
            if cluster is not None:
                await self.look_through(cluster)
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as tasks:
            while True:
                now = self._clock()
                for place in self._due(now):
                    self._active.add(place)
                    tasks.create_task(self._look(place))
                await self._sleep(now)

    async def look_through(self, cluster: LogicalCluster) -> None:
        """All of a logical cluster, at the start or when it has come from another shard."""
        index = self._remote.index(cluster)
        for api in index.apis.values() if index is not None else ():
            self._plan((cluster.id, api.name), self._clock(), 0.0)

    # --- when

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.group_resource == API_SERVICES:
                    if _names_server(change.value) or (commit.cluster_id, change.name) in self._plans:
                        self._soon((commit.cluster_id, change.name))
                elif change.group_resource in _ADDRESSES and commit.cluster_id in self._names:
                    for name in self._names[commit.cluster_id]:
                        self._soon((commit.cluster_id, name))

    def _soon(self, place: Place) -> None:
        known = self._plans.get(place)
        self._plan(place, self._clock() + (PAUSE_S if known is not None else 0.0), 0.0)

    def _plan(self, place: Place, due: float, wait_s: float) -> None:
        known = self._plans.get(place)
        if known is not None and place not in self._active:
            due = min(due, max(known.due, self._clock()))
        self._plans[place] = _Plan(due, wait_s)
        self._names.setdefault(place[0], set()).add(place[1])
        heapq.heappush(self._timers, (due, place))
        self._wake.set()

    def _due(self, now: float) -> Iterator[Place]:
        while self._timers and self._timers[0][0] <= now and len(self._active) < _AT_ONCE:
            due, place = heapq.heappop(self._timers)
            plan = self._plans.get(place)
            if plan is not None and plan.due == due and place not in self._active:
                yield place

    async def _sleep(self, now: float) -> None:
        left_s = self._timers[0][0] - now if self._timers and len(self._active) < _AT_ONCE else None
        try:
            async with asyncio.timeout(None if left_s is None else max(left_s, 0.01)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    # --- what

    async def _look(self, place: Place) -> None:
        wait_s: float | None = None
        before = self._plans.get(place)
        try:
            wait_s = await self._reconcile(place)
        except NotOwned:
            pass  # it has moved: its new shard looks after it
        except (ApiError, ReadOnly, NotDurable) as refusal:
            _log.debug("the state of %s cannot be written: %s", place[1], refusal)
            wait_s = FIRST_BAD_S
        except Exception:  # noqa: BLE001 - a bug met in one tenant's object must not end the work for the others
            _log.exception("logical cluster %s, APIService %s", *place)
            wait_s = GOOD_S
        finally:
            self._active.discard(place)
        if wait_s is None:
            self._forget(place)
        elif self._plans.get(place) is before:  # nothing has happened meanwhile
            self._plans[place] = _Plan(self._clock() + wait_s, wait_s)
            heapq.heappush(self._timers, (self._plans[place].due, place))
        self._wake.set()

    def _forget(self, place: Place) -> None:
        if self._plans.pop(place, None) is not None:
            self._names[place[0]].discard(place[1])
            if not self._names[place[0]]:
                del self._names[place[0]]

    async def _reconcile(self, place: Place) -> float | None:
        """Seconds until it is to be looked at again; None: never."""
        store = self._shard.store
        cluster = store.cluster_by_id(place[0])
        value = store.pending(cluster, API_SERVICES, "", place[1]) if cluster is not None else None
        if cluster is None or value is None:
            if cluster is not None:
                self._remote.describe(cluster, place[1], None)
            return None
        obj: Object = orjson.loads(envelope.body(value))
        api = remote_api(obj)
        if api is None:
            self._remote.describe(cluster, place[1], None)
            await self._tell(cluster, obj, _LOCAL)
            return None
        await self._config.keep(cluster)
        state = await self._state(cluster, api)
        await self._tell(cluster, obj, state)
        if state is _PASSED:
            return GOOD_S
        plan = self._plans.get(place)
        return min(GOOD_S, max(FIRST_BAD_S, 2 * (plan.wait_s if plan is not None else 0.0)))

    async def _state(self, cluster: LogicalCluster, api: RemoteApi) -> State:
        service = api.config.service
        if service is not None:
            fault = self._services.fault(cluster, service.namespace, service.name, service.port)
            if fault is not None:
                return "False", *fault
        config = api.at(api.path)
        try:
            answer = await self._get(cluster, config)
        except CalloutError as error:
            return _failed(f"failing or missing response from {_shown(config)}: {error}")
        if not 200 <= answer.code < 300:
            return _failed(f"failing or missing response from {_shown(config)}: bad status from {_shown(config)}: "
                           f"{answer.code}")  # fmt: skip
        await self._describe(cluster, api, answer)
        return _PASSED

    async def _describe(self, cluster: LogicalCluster, api: RemoteApi, answer: Answer) -> None:
        resources = _resources(answer.body)
        openapi, body = "", b""
        try:
            found = await self._get(cluster, api.at("/openapi/v3"))
            body = found.body if found.code == 200 else b""
        except CalloutError:
            pass  # it need not have any
        openapi = _openapi_place(body, api.path.removeprefix("/"))
        self._remote.describe(cluster, api.name, Described(resources, openapi, len(answer.body) + 500))

    def _get(self, cluster: LogicalCluster, config: ClientConfig) -> Any:
        return self._shard.callouts.call(cluster.id, config, "GET", b"", _PROBE_S, "", OWN_HEADERS)

    async def _tell(self, cluster: LogicalCluster, obj: Object, state: State) -> None:
        status, reason, message = state
        conditions = list((obj.get("status") or {}).get("conditions") or ())
        at = next((n for n, c in enumerate(conditions) if c.get("type") == "Available"), None)
        old = conditions[at] if at is not None else {}
        if (old.get("status"), old.get("reason"), old.get("message")) == state:
            return
        changed = old.get("lastTransitionTime") if old.get("status") == status else None
        new = {"type": "Available", "status": status, "reason": reason, "message": message}
        new["lastTransitionTime"] = changed or timestamp(self._shard.now_us())
        if at is None:
            conditions.append(new)
        else:
            conditions[at] = new
        resource = self._types.stored_as(cluster, API_SERVICES)
        assert resource is not None
        await self._client.update(
            cluster, resource, {**obj, "status": {**(obj.get("status") or {}), "conditions": conditions}}, "status"
        )


def _names_server(value: bytes | None) -> bool:
    """Whether a stored APIService is one of another server's."""
    if value is None or not (b"service" in value or b"apiregistration.kcp.io/url" in value):
        return False
    return names_server(orjson.loads(envelope.body(value)))


def _failed(message: str) -> State:
    return "False", "FailedDiscoveryCheck", message


def _shown(config: ClientConfig) -> str:
    try:
        aim = target(config)
    except CalloutError:
        return config.url
    return f"https://{aim.authority}{aim.path}"


def _resources(body: bytes) -> Sequence[dict[str, Any]]:
    if len(body) > _DOCUMENT_BYTES:
        return ()
    try:
        found = orjson.loads(body)["resources"]
        return [each for each in found if isinstance(each, dict) and isinstance(each.get("name"), str)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ()


def _openapi_place(body: bytes, place: str) -> str:
    if len(body) > _DOCUMENT_BYTES:
        return ""
    try:
        found = orjson.loads(body)["paths"][place]["serverRelativeURL"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and found.startswith("/") and found.isascii() and " " not in found else ""
