"""Carries what is placed on one physical cluster down, and its status up: types come and go while it runs.

Level-triggered: what should be there is compared with what is there, after a start as at any other time. An object that
cannot be carried is tried again by itself and told of in an Event; the others go on.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple

from kcpsyncer.companions import Companions
from kcpsyncer.conditions import status_of
from kcpsyncer.imported_apis import GROUP, IMPORTS, LOCATION_LABEL, VERSION, api_of
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.namespace_mapping import NAMESPACE_ANNOTATION, Origin
from kcpsyncer.placed_objects import OWNER
from kcpsyncer.resource_sync import Carried, ResourceSync, Way

_log = logging.getLogger(__name__)
Object = dict[str, Any]
SWEEP_S = 30.0


class _Running(NamedTuple):
    sync: ResourceSync
    task: asyncio.Task[None]


class Synchronisation:
    """`run` until cancelled. `path`, `name` and `uid` are the Cluster's; `uid` marks what is ours downstream."""

    def __init__(self, path: str, name: str, uid: str, upstream: KubeClient, downstream: KubeClient) -> None:
        self._path, self._name, self._uid = path, name, uid
        self._upstream, self._downstream = upstream, downstream
        selector = {"labelSelector": f"{LOCATION_LABEL}={name}"}
        self._imports = Informer(
            upstream, resource_path(GROUP, VERSION, IMPORTS), lambda *_: self._wake.set(), selector
        )
        self._wake = asyncio.Event()
        self._running: dict[Carried, _Running] = {}
        self._way: Way | None = None

    async def run(self) -> None:
        way = await self._found_way()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._imports.run())
            tasks.create_task(way.namespaces.run())
            tasks.create_task(way.companions.run())
            tasks.create_task(self._sweep_often(way))
            await self._imports.synced.wait()
            while True:
                self._wake.clear()
                self._adjust(way, tasks)
                await self._wake.wait()

    async def _found_way(self) -> Way:
        while True:
            try:
                default = await self._upstream.get("/api/v1/namespaces/default")
            except Failure:
                default = None
            if default is not None:
                break
            await asyncio.sleep(1)  # the logical cluster is being born, or cannot be reached
        origin = Origin(self._path, default["metadata"]["uid"])
        self._way = Way(
            origin,
            self._name,
            self._uid,
            self._upstream,
            self._downstream,
            Informer(self._upstream, "/api/v1/namespaces"),
            Companions(origin, self._uid, self._upstream, self._downstream),
        )
        return self._way

    # --- types

    def _wanted(self) -> dict[Carried, bool]:
        """Every namespaced type that the cluster serves, and whether it is offered and accepted."""
        found = {}
        for each in self._imports.objects.values():
            api = api_of(each)
            conditions = (each.get("status") or {}).get("conditions")
            good = all(status_of(conditions, kind) == "True" for kind in ("Compatible", "Available"))
            if api.scope == "Namespaced":
                found[Carried(api.group, api.version, api.plural, "status" in api.subresources)] = good
        return found

    def _adjust(self, way: Way, tasks: asyncio.TaskGroup) -> None:
        """What is no longer offered is left as it is, both sides."""
        wanted = {carried for carried, good in self._wanted().items() if good}
        for carried in self._running.keys() - wanted:
            _log.info("%s is no longer synchronised with %s", carried.plural, self._name)
            self._running.pop(carried).task.cancel()
        for carried in wanted - self._running.keys():
            _log.info("%s is synchronised with %s", carried.plural, self._name)
            sync = ResourceSync(carried, way)
            self._running[carried] = _Running(sync, tasks.create_task(_unless_cancelled(sync.run())))

    # --- what is left over

    async def _sweep_often(self, way: Way) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep(way)
            except Failure as failure:
                _log.info("left-overs on %s: %s", self._name, failure)

    async def _sweep(self, way: Way) -> None:
        if all(self._wanted().values()) and all(each.sync.is_at_rest for each in self._running.values()):
            await way.companions.sweep()
        if not way.namespaces.synced.is_set():
            return
        for namespace in await self._ours("/api/v1/namespaces"):
            origin = (namespace["metadata"].get("annotations") or {}).get(NAMESPACE_ANNOTATION)
            if origin and way.namespaces.get(origin) is None:
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
