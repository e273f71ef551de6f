"""Carries what a logical cluster exports to all of its physical clusters, around what `exports` and `imports` decide.

Level-triggered: what should be there is compared with what is there, above and in each cluster, when an export, a
Service or its endpoints change. A cluster that does not answer keeps what it exported, until it is deregistered.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition, with_conditions
from kcpsyncer.informer import Informer, Key
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access
from kcpsyncer.namespace_mapping import CLUSTER_ANNOTATION, Origin, downstream_namespace
from kcpsyncer.placed_objects import PLACED, is_in_place
from kcpsyncer.services.definitions import definitions
from kcpsyncer.services.exports import Exported, exported, names_of
from kcpsyncer.services.imports import (
    BROKER,
    EXPORT,
    MANAGER,
    Combined,
    Place,
    carried_slices,
    combined,
    derived_service,
    import_status,
    service_import,
)
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_EXPORTS = ("multicluster.x-k8s.io", "v1alpha1", "serviceexports")
_IMPORTS = ("multicluster.x-k8s.io", "v1alpha1", "serviceimports")
_SERVICES, _SLICES = ("", "v1", "services"), ("discovery.k8s.io", "v1", "endpointslices")
_MADE = (_SLICES, _IMPORTS, _SERVICES)  # in the order in which they are taken away
LOOK_AGAIN_S = 30.0
AWAY_S = 5.0  # until a cluster that did not answer is asked again


class _Reached:
    """A physical cluster. Its namespaces are followed as soon as something is exported there."""

    def __init__(self, access: Access, client: KubeClient, tasks: asyncio.TaskGroup, changed: Any) -> None:
        self.access, self.client = access, client
        self._tasks, self._changed = tasks, changed
        self._followed: dict[str, list[asyncio.Task[None]]] = {}
        self.has_definitions = False

    def follow(self, namespace: str) -> None:
        if namespace not in self._followed:
            self._followed[namespace] = [
                self._tasks.create_task(Informer(self.client, resource_path(*kind, namespace), self._changed).run())
                for kind in (_SERVICES, _SLICES)
            ]

    def forget(self, namespace: str) -> None:
        for task in self._followed.pop(namespace, ()):
            task.cancel()

    async def define(self) -> None:
        """Its own definitions of these types, where it has none. Raises Failure."""
        if self.has_definitions:
            return
        for made in definitions():
            if await self.client.get(f"{_DEFINITIONS}/{made['metadata']['name']}") is None:
                with suppress(Failure):  # another one may have been quicker; what is missing shows at once
                    await self.client.create(_DEFINITIONS, made)
        self.has_definitions = True


class _Entry(NamedTuple):
    access: Access
    task: asyncio.Task[None]


class ServiceDiscovery:
    """Of one logical cluster. `run` until cancelled; does nothing before `begin`, or without a cluster to reach."""

    def __init__(self, path: str, upstream: KubeClient) -> None:
        self._path, self._upstream = path, upstream
        self._begun = asyncio.Event()
        self._exports = Informer(upstream, resource_path(*_EXPORTS), self._export_changed)
        self._queue: WorkQueue[Key] = WorkQueue(self._settle)
        self._wanted: dict[str, Access] = {}
        self._entries: dict[str, _Entry] = {}
        self._reached: dict[str, _Reached] = {}
        self._known: dict[tuple[Key, str], Exported] = {}  # what a cluster had when it last answered
        self._done: set[Key] = set()  # of which something may have been made
        self._tasks: asyncio.TaskGroup | None = None
        self._origin = Origin(path, "")

    def begin(self) -> None:
        """The types are defined in the logical cluster."""
        self._begun.set()

    def reach(self, name: str, access: Access | None) -> None:
        """How to call the Cluster; None: it is gone, or is not ours to call."""
        if access is None:
            self._wanted.pop(name, None)
        else:
            self._wanted[name] = access
        self._adjust(name)

    async def run(self) -> None:
        await self._begun.wait()
        self._origin = Origin(self._path, await self._incarnation())
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for name in self._wanted:
                self._adjust(name)
            tasks.create_task(self._exports.run())
            await self._exports.synced.wait()
            await self._find_leftovers()
            await self._queue.run()

    async def _incarnation(self) -> str:
        while True:
            with suppress(Failure):
                if (found := await self._upstream.get("/api/v1/namespaces/default")) is not None:
                    return str(found["metadata"]["uid"])
            await asyncio.sleep(1)

    async def _find_leftovers(self) -> None:
        """What was exported when nobody looked, and is not any more."""
        with suppress(Failure):
            found, _ = await self._upstream.list(resource_path(*_IMPORTS), {"labelSelector": self._selector()})
            for each in found:
                key = (each["metadata"]["namespace"], each["metadata"]["name"])
                self._done.add(key)
                self._queue.add(key)

    # --- clusters

    def _adjust(self, name: str) -> None:
        access, entry = self._wanted.get(name), self._entries.get(name)
        if self._tasks is None or (entry is not None and entry.access == access and not entry.task.done()):
            return
        if entry is not None:
            entry.task.cancel()
            del self._entries[name]
            self._reached.pop(name, None)
        if access is not None:
            self._entries[name] = _Entry(access, self._tasks.create_task(self._keep(name, access)))
        else:
            self._known = {place: found for place, found in self._known.items() if place[1] != name}
            self._all_changed()

    async def _keep(self, name: str, access: Access) -> None:
        try:
            async with KubeClient(access, manager=MANAGER) as client, asyncio.TaskGroup() as tasks:
                self._reached[name] = _Reached(access, client, tasks, lambda *_: self._all_changed())
                self._all_changed()
                await asyncio.Event().wait()
        except Exception:  # noqa: BLE001 - one cluster never stops the others
            _log.exception("services of %s are not looked at any more", name)

    # --- what has changed

    def _export_changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        self._queue.add((metadata["namespace"], metadata["name"]))

    def _all_changed(self) -> None:
        for key in (*self._exports.objects, *self._done):
            self._queue.add(key)

    # --- one export

    async def _settle(self, key: Key) -> float | None:
        export = self._exports.objects.get(key)
        if export is not None and export["metadata"].get("deletionTimestamp"):
            export = None
        if export is None and key not in self._done:
            return None
        self._done.add(key)
        found, faults, away = await self._look(key, export)
        result = combined(found) if found else None
        is_whole = await self._write(key, result) and not away
        if export is not None:
            await self._tell(export, found, faults, result)
            return LOOK_AGAIN_S if is_whole else AWAY_S
        if is_whole:
            self._done.discard(key)
            self._forget(key[0])
        return None if is_whole else AWAY_S

    def _forget(self, namespace: str) -> None:
        if all(key[0] != namespace for key in self._exports.objects):
            for reached in self._reached.values():
                reached.forget(downstream_namespace(self._origin, namespace))

    async def _look(self, key: Key, export: Object | None) -> tuple[list[Exported], list[Condition], bool]:
        """What each cluster has, why others have nothing, and whether one did not answer."""
        found, faults, away = [], [], False
        only = ((export or {"metadata": {}})["metadata"].get("labels") or {}).get(PLACED)
        for name, reached in self._reached.items() if export is not None else ():
            if only and only != name:
                continue
            try:
                answer = await self._exported(name, reached, key)
            except Failure as failure:
                _log.info("services of %s: %s", name, failure)
                away = True
                answer = self._known.get((key, name))
            if isinstance(answer, Exported):
                self._known[key, name] = answer
                found.append(answer)
            else:
                self._known.pop((key, name), None)
                faults += [answer] if answer is not None else []
        return found, faults, away

    async def _exported(self, name: str, reached: _Reached, key: Key) -> Exported | Condition | None:
        namespace = downstream_namespace(self._origin, key[0])
        if not await self._is_ours(reached, namespace):
            return None
        reached.follow(namespace)
        for service_name in names_of(key[1], name):
            service = await reached.client.get(resource_path(*_SERVICES, namespace, service_name))
            if service is not None:
                selector = {"labelSelector": f"kubernetes.io/service-name={service_name}"}
                slices, _ = await reached.client.list(resource_path(*_SLICES, namespace), selector)
                return exported(name, service, slices)
        return None

    async def _is_ours(self, reached: _Reached, namespace: str) -> bool:
        found = await reached.client.get(f"/api/v1/namespaces/{namespace}")
        annotations = (found or {"metadata": {}})["metadata"].get("annotations") or {}
        return (
            annotations.get(CLUSTER_ANNOTATION) == self._path and "deletionTimestamp" not in (found or {})["metadata"]
        )

    # --- what is made of it

    async def _write(self, key: Key, result: Combined | None) -> bool:
        """False: not everywhere, a cluster does not answer."""
        await self._write_to(self._upstream, Place(*key, self._origin.incarnation), result, is_below=False)
        is_whole = True
        below = Place(downstream_namespace(self._origin, key[0]), key[1], self._origin.incarnation)
        for name, reached in list(self._reached.items()):
            try:
                if await self._is_ours(reached, below.namespace):
                    await reached.define()
                    await self._write_to(reached.client, below, result, is_below=True)
            except Failure as failure:
                _log.info("services to %s: %s", name, failure)
                is_whole = False
        return is_whole

    async def _write_to(self, client: KubeClient, place: Place, result: Combined | None, is_below: bool) -> None:
        made: dict[tuple[str, str, str], list[Object]] = {kind: [] for kind in _MADE}
        ips: list[str] = []
        if result is not None:
            made[_SLICES] = carried_slices(result, place, is_below)
            if is_below and (service := derived_service(result, place)) is not None:
                made[_SERVICES] = [service]
                ips = _addresses(await self._put(client, _SERVICES, place, made[_SERVICES]))
            made[_IMPORTS] = [service_import(result, place, ips)]
        for kind in _MADE:
            live = await self._put(client, kind, place, made[kind])
            if kind == _IMPORTS and result is not None:
                await _set_status(client, live[0], import_status(result))

    async def _put(
        self, client: KubeClient, kind: tuple[str, str, str], place: Place, wanted: Sequence[Object]
    ) -> list[Object]:
        """Exactly these, of all that is made for this export there. Raises Failure."""
        path = resource_path(*kind, place.namespace)
        selector = {"labelSelector": f"{self._selector()},{EXPORT}={place.name}"}
        try:
            present = {each["metadata"]["name"]: each for each in (await client.list(path, selector))[0]}
        except Failure as failure:
            if failure.is_gone and (not wanted or kind == _SLICES):
                return []  # the type is not even served there
            raise
        names = {each["metadata"]["name"] for each in wanted}
        for gone in [each for name, each in present.items() if name not in names]:
            await client.delete(f"{path}/{gone['metadata']['name']}", gone["metadata"]["uid"])
        return [await self._one(client, path, each, present.get(each["metadata"]["name"])) for each in wanted]

    async def _one(self, client: KubeClient, path: str, wanted: Object, live: Object | None) -> Object:
        if live is not None and is_in_place(wanted, live):
            return live
        target = f"{path}/{wanted['metadata']['name']}"
        if live is None and (foreign := await client.get(target)) is not None:
            raise Failure(
                409, "Foreign", f"{foreign.get('kind')} {wanted['metadata']['name']} is there and is not ours"
            )
        return await client.apply(target, wanted, manager=MANAGER)

    def _selector(self) -> str:
        return f"{BROKER}={self._origin.incarnation}"

    # --- what is told

    async def _tell(
        self, export: Object, found: Sequence[Exported], faults: Sequence[Condition], result: Combined | None
    ) -> None:
        metadata = export["metadata"]
        present = (export.get("status") or {}).get("conditions") or []
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = with_conditions(present, _conditions(found, faults, result), now)
        if conditions != present:
            path = resource_path(*_EXPORTS, metadata["namespace"], metadata["name"])
            await self._upstream.merge(f"{path}/status", {"status": {"conditions": conditions}})


def _conditions(found: Sequence[Exported], faults: Sequence[Condition], result: Combined | None) -> Iterable[Condition]:
    if result is None:
        yield faults[0] if faults else Condition("Valid", "False", "NoService", "no cluster has a Service of this name")
        yield Condition("Ready", "False", "Pending")
        return
    names = ", ".join(sorted(each.cluster for each in found))
    yield Condition("Valid", "True", "Valid", f"exported from {names}")
    yield Condition("Ready", "True", "Exported")
    yield result.conflict


def _addresses(services: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        ip
        for service in services
        for ip in service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]
        if ip
    ]


async def _set_status(client: KubeClient, live: Object, status: Object) -> None:
    if (live.get("status") or {}).get("clusters") != status["clusters"]:
        metadata = live["metadata"]
        path = resource_path(*_IMPORTS, metadata["namespace"], metadata["name"])
        await client.merge(f"{path}/status", {"status": status})
