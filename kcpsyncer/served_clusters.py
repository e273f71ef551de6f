"""Which logical clusters there is something to do in: those where Clusters are defined, wherever they are."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kcpsyncer.definitions import CLUSTERS
from kcpsyncer.kube_client import Failure, KubeClient

_log = logging.getLogger(__name__)
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ONE = {"fieldSelector": f"metadata.name={CLUSTERS}"}
PATH_ANNOTATION = "kcp.io/cluster"
RETRY_S = 5.0


class ServedClusters:
    """`paths`, kept true by one watch over all logical clusters; `changed` is called whenever it is another set."""

    def __init__(self, everywhere: KubeClient, changed: Callable[[], None]) -> None:
        self._client, self._changed = everywhere, changed
        self.paths: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                items, version = await self._client.list(_DEFINITIONS, _ONE)
                self._set(frozenset(_path(each) for each in items))
                while True:
                    version = await self._follow(version)
            except Failure as failure:
                if failure.code != 410:
                    _log.info("definitions of all logical clusters cannot be followed: %s", failure)
                    await asyncio.sleep(RETRY_S)

    async def _follow(self, version: str) -> str:
        """One watch to its end; where it got to."""
        async for event in self._client.watch(_DEFINITIONS, version, _ONE):
            obj = event.get("object") or {}
            if event.get("type") == "ERROR":
                raise Failure(obj.get("code") or 500, obj.get("reason") or "", obj.get("message") or "it failed")
            version = str(obj["metadata"].get("resourceVersion") or version)
            if event["type"] == "DELETED":
                self._set(self.paths - {_path(obj)})
            elif event["type"] != "BOOKMARK":
                self._set(self.paths | {_path(obj)})
        return version

    def _set(self, paths: frozenset[str]) -> None:
        paths -= {""}
        if paths != self.paths:
            self.paths = paths
            self._changed()


def _path(definition: Mapping[str, Any]) -> str:
    return str((definition["metadata"].get("annotations") or {}).get(PATH_ANNOTATION) or "")
