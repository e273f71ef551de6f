"""Secrets, config maps and service accounts that placed objects refer to: they go along, change with their originals,
and go when nobody needs them any more. What is needed is the shard's to say; nothing else ever comes."""

from typing import Any, NamedTuple

from kcpshard.api.pod_references import Reference
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.namespace_mapping import NAMESPACE_ANNOTATION, Origin, downstream_namespace
from kcpsyncer.placed_objects import ADOPT, MANAGER, OWNER, PLACED, companion, is_in_place, is_ours, is_portable
from kcpsyncer.stream.feed import Place
from kcpsyncer.stream.upstream import Upstream
from kcpsyncer.work_queue import WorkQueue

Object = dict[str, Any]
_KINDS = {"secrets": "Secret", "configmaps": "ConfigMap", "serviceaccounts": "ServiceAccount"}


class Carrier(NamedTuple):
    """From where to where, and whose."""

    origin: Origin
    cluster: str
    owner: str


class Companions:
    def __init__(self, carrier: Carrier, upstream: Upstream, downstream: KubeClient) -> None:
        self._carrier, self._upstream, self._downstream = carrier, upstream, downstream
        self._queue: WorkQueue[Place] = WorkQueue(self._do)

    async def run(self) -> None:
        """Until cancelled."""
        self._upstream.listeners.append(self._changed)
        try:
            await self._upstream.wait_until_synced()
            for place in self._upstream.places(_KINDS):
                self._queue.add(place)
            await self._queue.run()
        finally:
            self._upstream.listeners.remove(self._changed)

    @property
    def is_at_rest(self) -> bool:
        return not len(self._queue)

    def _changed(self, path: str, place: Place) -> None:
        if place.type in _KINDS and path == self._carrier.origin.path:
            self._queue.add(place)

    async def _do(self, place: Place) -> None:
        origin, owner = self._carrier.origin, self._carrier.owner
        up = self._upstream.get(place)
        if up is not None and (up["metadata"].get("labels") or {}).get(PLACED) == self._carrier.cluster:
            return  # it is placed there itself
        path = resource_path("", "v1", place.type, downstream_namespace(origin, place.namespace), place.name)
        live = await self._downstream.get(path)
        if up is None or up["metadata"].get("deletionTimestamp") or not is_portable(up):
            if live is not None and is_ours(live, owner):
                await self._downstream.delete(path, live["metadata"]["uid"])
            return
        wanted = companion(up, Reference(place.type, _KINDS[place.type], place.name), origin, owner)
        await self._put(path, wanted, live, ADOPT in (up["metadata"].get("annotations") or {}))

    async def _put(self, path: str, wanted: Object, live: Object | None, adopt: bool) -> None:
        if live is not None and not is_ours(live, self._carrier.owner) and not adopt:
            raise Failure(409, "Foreign", f"{path} exists and is not ours")
        if live is not None and is_in_place(wanted, live):
            return
        if live is not None:
            wanted["metadata"]["uid"] = live["metadata"]["uid"]
        await self._downstream.apply(path, wanted, manager=MANAGER)

    async def sweep(self) -> None:
        """Remove what earlier runs left and nobody needs. Only when everything that is needed has come."""
        needed = set(self._upstream.places(_KINDS))
        for plural in _KINDS:
            selector = {"labelSelector": f"{OWNER}={self._carrier.owner}"}
            found, _ = await self._downstream.list(f"/api/v1/{plural}", selector)
            for obj in found:
                metadata = obj["metadata"]
                namespace = (metadata.get("annotations") or {}).get(NAMESPACE_ANNOTATION)
                if namespace and Place(plural, namespace, metadata["name"]) not in needed:
                    path = resource_path("", "v1", plural, metadata["namespace"], metadata["name"])
                    await self._downstream.delete(path, metadata["uid"])
