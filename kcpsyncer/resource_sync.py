"""One type of objects between a logical cluster and a physical one: spec down, status up, drift mended.

Downstream only what carries our label is looked at; an object of the same name without it is somebody else's, and is
left alone unless the object upstream asks to adopt it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kcpsyncer.events import event
from kcpsyncer.informer import Informer, Key
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.namespace_mapping import NAMESPACE_ANNOTATION, Origin, downstream_namespace
from kcpsyncer.placed_objects import (
    ADOPT,
    HASH,
    MANAGER,
    OWNER,
    PLACED,
    beside_autoscaler,
    desired,
    is_in_place,
    is_ours,
    namespace_object,
    status_up,
)
from kcpsyncer.stream.feed import Place
from kcpsyncer.stream.upstream import Type, Upstream
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
TERMINATING_S = 2.0  # until something that is being deleted downstream is looked at again


class Carried(NamedTuple):
    """A namespaced resource in the version that the cluster serves."""

    group: str
    version: str
    plural: str
    has_status: bool

    @property
    def type(self) -> Type:
        return Type(self.group, self.version, self.plural)


@dataclass
class Way:
    """From one logical cluster to one physical cluster, shared by all types."""

    origin: Origin
    cluster: str
    owner: str
    upstream: Upstream
    downstream: KubeClient
    made: set[str] = field(default_factory=set)  # namespaces that are known to be there


class ResourceSync:
    def __init__(self, carried: Carried, way: Way) -> None:
        self._carried, self._way = carried, way
        path = resource_path(carried.group, carried.version, carried.plural)
        self._type = carried.type.group_resource
        self._down = Informer(way.downstream, path, self._down_changed, {"labelSelector": f"{OWNER}={way.owner}"})
        self._queue: WorkQueue[Key] = WorkQueue(self._do, workers=8, refused=self._refused)
        self._settled: dict[Key, tuple[str, str, int]] = {}  # hash, uid and generation of what is known to be in place
        self._told: dict[Key, str] = {}
        self._telling: set[Key] = set()

    async def run(self) -> None:
        """Until cancelled."""
        upstream = self._way.upstream
        upstream.listeners.append(self._up_changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._down.run())
                await upstream.wait_until_synced(self._carried.type)
                await self._down.synced.wait()
                for place in upstream.places([self._type]):
                    self._queue.add((place.namespace, place.name))
                tasks.create_task(self._tell())
                await self._queue.run()
        finally:
            upstream.listeners.remove(self._up_changed)

    @property
    def is_at_rest(self) -> bool:
        """Everything has been looked at since the start."""
        synced = self._way.upstream.is_synced(self._carried.type) and self._down.synced.is_set()
        return synced and not len(self._queue)

    # --- what has changed

    def _up_changed(self, path: str, place: Place) -> None:
        if place.type == self._type and path == self._way.origin.path:
            self._queue.add((place.namespace, place.name))

    def _down_changed(self, old: Object | None, new: Object | None) -> None:
        if (key := _upstream_key(new or old or {})) is not None:
            self._queue.add(key)

    # --- one object

    def _up(self, key: Key) -> Object | None:
        found = self._way.upstream.get(Place(self._type, *key))
        return {"apiVersion": _api_version(self._carried), **found} if found is not None else None

    async def _do(self, key: Key) -> float | None:
        up = self._up(key)
        live = self._down.objects.get((downstream_namespace(self._way.origin, key[0]), key[1]))
        if up is None or up["metadata"].get("deletionTimestamp"):
            return await self._remove(key, live)
        if (up["metadata"].get("labels") or {}).get(PLACED) != self._way.cluster:
            return None  # taken along for others: see companions
        if live is not None and live["metadata"].get("deletionTimestamp"):
            return TERMINATING_S
        wanted = beside_autoscaler(desired(up, self._way.origin, self._way.owner), live)
        live = await self._put(key, up, wanted, live)
        if self._carried.has_status:
            await self._report(up, live)
        self._told.pop(key, None)
        return None

    async def _remove(self, key: Key, live: Object | None) -> float | None:
        self._settled.pop(key, None)
        self._told.pop(key, None)
        if live is None:
            return None
        if not live["metadata"].get("deletionTimestamp"):
            await self._way.downstream.delete(self._down_path(live["metadata"]), live["metadata"]["uid"])
        return None

    async def _put(self, key: Key, up: Object, wanted: Object, live: Object | None) -> Object:
        if live is not None and self._is_settled(key, wanted, live):
            return live
        path = self._down_path(wanted["metadata"])
        if live is None:
            await self._make_namespace(key[0])
            live = await self._way.downstream.get(path)
            adopts = ADOPT in (up["metadata"].get("annotations") or {})
            if live is not None and not is_ours(live, self._way.owner) and not adopts:
                raise Failure(409, "Foreign", f"an object of this name is on {self._way.cluster} and is not ours")
        if live is None or not is_in_place(wanted, live):
            uid = {"uid": live["metadata"]["uid"]} if live is not None else {}
            body = {**wanted, "metadata": {**wanted["metadata"], **uid}}
            live = await self._way.downstream.apply(path, body, manager=MANAGER)
        self._settled[key] = (wanted["metadata"]["annotations"][HASH], *_identity(live))
        return live

    def _is_settled(self, key: Key, wanted: Object, live: Object) -> bool:
        """Whether it is what was made of the same, and nothing of it has been changed since. That a server writes some
        values in another way (1000m as 1) is no drift."""
        generation = live["metadata"].get("generation")
        known = (wanted["metadata"]["annotations"][HASH], *_identity(live))
        if not generation or self._settled.get(key) != known:
            return False
        return all(
            is_in_place(wanted["metadata"][part], live["metadata"].get(part)) for part in ("labels", "annotations")
        )

    async def _make_namespace(self, namespace: str) -> None:
        way = self._way
        wanted = namespace_object(way.origin, namespace, way.owner)
        name = wanted["metadata"]["name"]
        if name in way.made:
            return
        path = f"/api/v1/namespaces/{name}"
        live = await way.downstream.get(path)
        if live is not None and not is_ours(live, way.owner):
            raise Failure(409, "Foreign", f"the namespace {name} is on {way.cluster} and is not ours")
        if live is not None and live["metadata"].get("deletionTimestamp"):
            raise Failure(409, "Terminating", f"the namespace {name} is being deleted on {way.cluster}")
        if live is None or not is_in_place(wanted, live):
            await way.downstream.apply(path, wanted, manager=MANAGER)
        way.made.add(name)

    async def _report(self, up: Object, live: Object) -> None:
        status = status_up(up, live)
        if status is None:
            return
        metadata = up["metadata"]
        path = resource_path(
            self._carried.group, self._carried.version, self._carried.plural, metadata["namespace"], metadata["name"]
        )
        await self._way.upstream.update(f"{path}/status", {**up, "status": status})

    def _down_path(self, metadata: Object) -> str:
        carried = self._carried
        return resource_path(carried.group, carried.version, carried.plural, metadata["namespace"], metadata["name"])

    # --- what cannot be carried

    def _refused(self, key: Key, error: Exception) -> None:
        if isinstance(error, Failure) and error.reason == "NotFound":
            self._way.made.discard(downstream_namespace(self._way.origin, key[0]))
        conflict = isinstance(error, Failure) and error.code == 409 and error.reason not in ("Foreign", "Terminating")
        if not conflict and self._told.get(key) != str(error):
            self._told[key] = str(error)
            self._telling.add(key)

    async def _tell(self) -> None:
        """Events, a few at a time: telling must not hold up doing."""
        while True:
            await asyncio.sleep(1)
            while self._telling:
                key = self._telling.pop()
                if (up := self._up(key)) is not None and key in self._told:
                    made = event(up, "SyncFailed", f"{self._way.cluster}: {self._told[key]}", self._way.cluster)
                    try:
                        await self._way.upstream.create(resource_path("", "v1", "events", key[0]), made)
                    except Failure as failure:
                        _log.info("an event cannot be written: %s", failure)


def _api_version(carried: Carried) -> str:
    return f"{carried.group}/{carried.version}" if carried.group else carried.version


def _identity(live: Object) -> tuple[str, int]:
    return live["metadata"]["uid"], live["metadata"].get("generation") or 0


def _upstream_key(down: Object) -> Key | None:
    namespace = (down["metadata"].get("annotations") or {}).get(NAMESPACE_ANNOTATION)
    return (namespace, down["metadata"]["name"]) if namespace else None
