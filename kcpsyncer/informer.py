"""A local copy of the objects of one resource, kept true by list and watch over any breaks.

`changed(old, new)` is called for every difference, also for those that a list after a break reveals; nothing is told
twice. Whoever reads `objects` must not change them.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Protocol

from kcpsyncer.kube_client import Failure

_log = logging.getLogger(__name__)
Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" of what has none), name
Changed = Callable[[Object | None, Object | None], None]
FIRST_RETRY_S, MAX_RETRY_S = 0.2, 10.0


class Source(Protocol):
    """What an informer needs of a client."""

    async def list(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Object], str]: ...
    def watch(self, path: str, version: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Object]: ...


def key_of(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


class Informer:
    """`run` until cancelled. `synced` is set once the first list is in; `failure` says why there is none."""

    def __init__(
        self, source: Source, path: str, changed: Changed | None = None, query: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.objects: dict[Key, Object] = {}
        self.synced = asyncio.Event()
        self.failure: Failure | None = None
        self._source, self._changed, self._query = source, changed or _ignore, dict(query or {})

    def get(self, name: str, namespace: str = "") -> Object | None:
        return self.objects.get((namespace, name))

    async def run(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                items, version = await self._source.list(self.path, self._query)
                self._replace(items)
                self.failure = None
                self.synced.set()
                retry_s = FIRST_RETRY_S
                await self._follow(version)
            except Failure as failure:
                self._note(failure)
                await asyncio.sleep(retry_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries
                retry_s = min(retry_s * 2, MAX_RETRY_S)

    async def _follow(self, version: str) -> None:
        """Watch after watch, until the server can no longer continue."""
        while True:
            began = version
            try:
                async for event in self._source.watch(self.path, version, self._query):
                    version = self._take(event) or version
            except Failure as failure:
                if failure.code or version == began:
                    raise
                # The connection broke after it had brought something: go on from there.

    def _take(self, event: Mapping[str, Any]) -> str:
        """The resourceVersion that the event brings us to."""
        kind, obj = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise Failure(obj.get("code") or 500, obj.get("reason") or "", obj.get("message") or "the watch failed")
        if kind in ("ADDED", "MODIFIED"):
            self._put(obj)
        elif kind == "DELETED" and (old := self.objects.pop(key_of(obj), None)) is not None:
            self._changed(old, None)
        return str(obj["metadata"].get("resourceVersion") or "")

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        old = self.objects.get(key)
        if old is not None and _version(old) == _version(obj):
            return
        self.objects[key] = obj
        self._changed(old, obj)

    def _replace(self, items: Iterable[Object]) -> None:
        listed = {key_of(obj): obj for obj in items}
        for key in [key for key in self.objects if key not in listed]:
            self._changed(self.objects.pop(key), None)
        for obj in listed.values():
            self._put(obj)

    def _note(self, failure: Failure) -> None:
        if self.failure is None or self.failure.code != failure.code:
            _log.info("%s cannot be followed: %s", self.path, failure)
        self.failure = failure


def _version(obj: Mapping[str, Any]) -> Any:
    return obj["metadata"].get("uid"), obj["metadata"].get("resourceVersion")


def _ignore(_old: Object | None, _new: Object | None) -> None:
    pass
