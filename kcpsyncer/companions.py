"""Secrets, config maps and service accounts that placed objects refer to: they go along, change with their originals,
and go when nobody needs them any more. Only what is referred to is ever read."""

import asyncio
import logging
from collections.abc import Hashable
from typing import Any, NamedTuple

from kcpshard.api.pod_references import Reference
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.namespace_mapping import NAMESPACE_ANNOTATION, Origin, downstream_namespace
from kcpsyncer.placed_objects import ADOPT, MANAGER, OWNER, companion, is_in_place, is_ours, is_portable
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
_PLURALS = ("secrets", "configmaps", "serviceaccounts")


class Place(NamedTuple):
    namespace: str
    reference: Reference


class Companions:
    def __init__(self, origin: Origin, owner: str, upstream: KubeClient, downstream: KubeClient) -> None:
        self._origin, self._owner = origin, owner
        self._upstream, self._downstream = upstream, downstream
        self._needed: dict[Hashable, frozenset[Place]] = {}  # by who needs them
        self._users: dict[Place, int] = {}
        self._followed: dict[Place, tuple[Informer, asyncio.Task[None]]] = {}
        self._queue: WorkQueue[Place] = WorkQueue(self._do)
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for place in self._users:
                self._follow(place)
            tasks.create_task(self._queue.run())
            await asyncio.Event().wait()

    def need(self, user: Hashable, namespace: str, references: set[Reference]) -> None:
        """From now on `user` needs exactly these; none: it is gone."""
        places = frozenset(Place(namespace, reference) for reference in references)
        before = self._needed.get(user, frozenset())
        if places:
            self._needed[user] = places
        else:
            self._needed.pop(user, None)
        for place in places - before:
            self._users[place] = self._users.get(place, 0) + 1
            if self._users[place] == 1:
                self._follow(place)
        for place in before - places:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place]
                self._release(place)

    def _follow(self, place: Place) -> None:
        if self._tasks is None or place in self._followed:
            return
        informer = Informer(
            self._upstream,
            resource_path("", "v1", place.reference.plural, place.namespace),
            lambda *_: self._queue.add(place),
            {"fieldSelector": f"metadata.name={place.reference.name}"},
        )
        self._followed[place] = (informer, self._tasks.create_task(informer.run()))

    def _release(self, place: Place) -> None:
        if (followed := self._followed.pop(place, None)) is not None:
            followed[1].cancel()
        self._queue.add(place)

    async def _do(self, place: Place) -> None:
        namespace = downstream_namespace(self._origin, place.namespace)
        path = resource_path("", "v1", place.reference.plural, namespace, place.reference.name)
        live = await self._downstream.get(path)
        followed = self._followed.get(place)
        up = None
        if followed is not None:
            if not followed[0].synced.is_set():
                return
            up = followed[0].get(place.reference.name, place.namespace)
        if up is None or up["metadata"].get("deletionTimestamp") or not is_portable(up):
            if live is not None and is_ours(live, self._owner):
                await self._downstream.delete(path, live["metadata"]["uid"])
            return
        wanted = companion(up, place.reference, self._origin, self._owner)
        await self._put(path, wanted, live, ADOPT in (up["metadata"].get("annotations") or {}))

    async def _put(self, path: str, wanted: Object, live: Object | None, adopt: bool) -> None:
        if live is not None and not is_ours(live, self._owner) and not adopt:
            raise Failure(409, "Foreign", f"{path} exists and is not ours")
        if live is not None and is_in_place(wanted, live):
            return
        if live is not None:
            wanted["metadata"]["uid"] = live["metadata"]["uid"]
        await self._downstream.apply(path, wanted, manager=MANAGER)

    async def sweep(self) -> None:
        """Remove what earlier runs left and nobody needs. Only when all who might need something have said so."""
        needed = {(place.namespace, place.reference.plural, place.reference.name) for place in self._users}
        for plural in _PLURALS:
            found, _ = await self._downstream.list(f"/api/v1/{plural}", {"labelSelector": f"{OWNER}={self._owner}"})
            for obj in found:
                metadata = obj["metadata"]
                namespace = (metadata.get("annotations") or {}).get(NAMESPACE_ANNOTATION)
                if namespace and (namespace, plural, metadata["name"]) not in needed:
                    path = resource_path("", "v1", plural, metadata["namespace"], metadata["name"])
                    await self._downstream.delete(path, metadata["uid"])
