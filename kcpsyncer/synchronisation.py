"""Carries what is placed on one physical cluster down, and its status up: types come and go while it runs.

Level-triggered: what should be there is compared with what is there, after a start as at any other time. An object that
cannot be carried is tried again by itself and told of in an Event; the others go on.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple

from kcpsyncer.companions import Carrier, Companions
from kcpsyncer.conditions import status_of
from kcpsyncer.imported_apis import GROUP, IMPORTS, api_of
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.namespace_mapping import NAMESPACE_ANNOTATION, Origin
from kcpsyncer.placed_objects import OWNER
from kcpsyncer.resource_sync import Carried, ResourceSync, Way
from kcpsyncer.stream.feed import Place
from kcpsyncer.stream.upstream import Upstream

_log = logging.getLogger(__name__)
Object = dict[str, Any]
SWEEP_S = 30.0
_IMPORTS = f"{IMPORTS}.{GROUP}"


class _Running(NamedTuple):
    sync: ResourceSync
    task: asyncio.Task[None]


class Synchronisation:
    """`run` until cancelled. `name` and `uid` are the Cluster's; `uid` marks what is ours downstream."""

    def __init__(self, name: str, uid: str, upstream: Upstream, downstream: KubeClient) -> None:
        self._name, self._uid = name, uid
        self._upstream, self._downstream = upstream, downstream
        self._wake = asyncio.Event()
        self._running: dict[Carried, _Running] = {}

    async def run(self) -> None:
        await self._upstream.wait_until_synced()
        home = self._upstream.home
        assert home is not None  # it is synced
        origin = Origin(home.path, home.incarnation)
        way = Way(origin, self._name, self._uid, self._upstream, self._downstream)
        companions = Companions(Carrier(origin, self._name, self._uid), self._upstream, self._downstream)
        self._upstream.listeners.append(self._changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(companions.run())
                tasks.create_task(self._sweep_often(way, companions))
                while True:
                    self._wake.clear()
                    self._adjust(way, tasks)
                    await self._wake.wait()
        finally:
            self._upstream.listeners.remove(self._changed)

    def _changed(self, _path: str, place: Place) -> None:
        if place.type == _IMPORTS:
            self._wake.set()

    # --- types

    def _wanted(self) -> dict[Carried, bool]:
        """Every namespaced type that the cluster serves, and whether it is offered and accepted."""
        found = {}
        for place in self._upstream.places([_IMPORTS]):
            each = self._upstream.get(place)
            if each is None:
                continue
            api = api_of(each)
            conditions = (each.get("status") or {}).get("conditions")
            good = all(status_of(conditions, kind) == "True" for kind in ("Compatible", "Available"))
            if api.scope == "Namespaced":
                found[Carried(api.group, api.version, api.plural, "status" in api.subresources)] = good
        return found

    def _adjust(self, way: Way, tasks: asyncio.TaskGroup) -> None:
        """What is no longer offered is left as it is, both sides."""
        served = self._wanted()
        # Of those that are not good now too: what their objects need must not be taken for left over.
        self._upstream.subscribe(carried.type for carried in served)
        wanted = {carried for carried, good in served.items() if good}
        for carried in self._running.keys() - wanted:
            _log.info("%s is no longer synchronised with %s", carried.plural, self._name)
            self._running.pop(carried).task.cancel()
        for carried in wanted - self._running.keys():
            _log.info("%s is synchronised with %s", carried.plural, self._name)
            sync = ResourceSync(carried, way)
            self._running[carried] = _Running(sync, tasks.create_task(_unless_cancelled(sync.run())))

    # --- what is left over

    async def _sweep_often(self, way: Way, companions: Companions) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep(way, companions)
            except Failure as failure:
                _log.info("left-overs on %s: %s", self._name, failure)

    async def _sweep(self, way: Way, companions: Companions) -> None:
        """What earlier runs left, once everything that there is has come."""
        at_rest = all(each.sync.is_at_rest for each in self._running.values()) and companions.is_at_rest
        if not (self._running and all(self._wanted().values()) and at_rest):
            return
        await companions.sweep()
        needed = {place.name for place in self._upstream.places(["namespaces"])}
        for namespace in await self._ours("/api/v1/namespaces"):
            origin = (namespace["metadata"].get("annotations") or {}).get(NAMESPACE_ANNOTATION)
            if origin and origin not in needed and not await self._upstream.has_namespace(origin):
                way.made.discard(namespace["metadata"]["name"])
                await self._remove("/api/v1/namespaces", namespace)

    async def remove_everything(self) -> None:
        """When the Cluster is deregistered: objects first, then the namespaces that were made for them."""
        for carried in self._wanted():
            path = resource_path(carried.group, carried.version, carried.plural)
            for obj in await self._ours(path):
                place = resource_path(carried.group, carried.version, carried.plural, obj["metadata"]["namespace"])
                await self._remove(place, obj)
        for namespace in await self._ours("/api/v1/namespaces"):
            await self._remove("/api/v1/namespaces", namespace)

    async def _ours(self, path: str) -> list[Object]:
        return (await self._downstream.list(path, {"labelSelector": f"{OWNER}={self._uid}"}))[0]

    async def _remove(self, path: str, obj: Object) -> None:
        if not obj["metadata"].get("deletionTimestamp"):
            await self._downstream.delete(f"{path}/{obj['metadata']['name']}", obj["metadata"]["uid"])


async def _unless_cancelled(work: Coroutine[Any, Any, None]) -> None:
    """A type that fails does not end the others; its own cancellation is its end."""
    try:
        await work
    except Exception:  # noqa: BLE001 - the other types go on
        _log.exception("the synchronisation of a type has ended")
