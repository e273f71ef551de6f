"""Reads which APIs a physical cluster serves: discovery, CRDs, OpenAPI. Documents that have not changed are not read
again, and a cluster that was upgraded is noticed by their hashes."""

import logging
from collections.abc import Sequence
from typing import Any

from kcpshard.schema.pulled_apis import (
    Discovered,
    PulledApi,
    discovered,
    legacy_discovered,
    of_definition,
    of_openapi,
    wanted,
)
from kcpsyncer.kube_client import Failure, KubeClient

_log = logging.getLogger(__name__)
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class ForeignApis:
    """`read` may be called again and again."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._pulled: dict[str, tuple[str, PulledApi | None]] = {}  # by group resource: what it was made of, and it

    async def read(self, resources: Sequence[str]) -> list[PulledApi]:
        """Those of the named resources that are served and described. Raises Failure rather than tell half."""
        types = wanted([*await self._types("/api"), *await self._types("/apis")], list(resources))
        definitions = {each["metadata"]["name"]: each for each in (await self._client.list(_DEFINITIONS))[0]}
        hashes = await self._hashes()
        apis = [await self._pull(found, definitions, hashes) for found in types]
        kept = {found.group_resource for found in types}
        self._pulled = {name: pulled for name, pulled in self._pulled.items() if name in kept}
        return [api for api in apis if api is not None]

    async def _types(self, root: str) -> list[Discovered]:
        document = await self._client.request("GET", root, accept=_AGGREGATED)
        if document.get("kind") == "APIGroupDiscoveryList":
            for group in document.get("items") or ():
                for version in group.get("versions") or ():
                    if version.get("freshness") == "Stale":
                        name = (group.get("metadata") or {}).get("name")
                        _log.info("discovery of %s is stale: an extension server does not answer", name)
            return list(discovered(document))
        if root == "/api":
            return list(legacy_discovered("", await self._client.request("GET", "/api/v1"), "v1"))
        found: list[Discovered] = []
        for group in document.get("groups") or ():
            version = group["preferredVersion"]["version"]
            listed = await self._client.request("GET", f"/apis/{group['name']}/{version}")
            found += legacy_discovered(group["name"], listed, version)
        return found

    async def _hashes(self) -> dict[str, str]:
        """Of the documents of OpenAPI version 3 by path; none for a cluster that has only version 2."""
        index = await self._client.get("/openapi/v3")
        paths = (index or {}).get("paths") or {}
        return {path: str(each.get("serverRelativeURL") or "") for path, each in paths.items()}

    async def _pull(self, found: Discovered, definitions: dict[str, Any], hashes: dict[str, str]) -> PulledApi | None:
        definition = definitions.get(f"{found.plural}.{found.group or 'core'}")
        path = f"apis/{found.group}/{found.version}" if found.group else f"api/{found.version}"
        origin = f"{found} {definition['metadata']['resourceVersion'] if definition else hashes.get(path)}"
        known = self._pulled.get(found.group_resource)
        if known is not None and known[0] == origin and (definition or path in hashes):
            return known[1]
        if definition is not None:
            api = of_definition(found, definition)
        else:
            api = of_openapi(found, await self._document(path, path in hashes))
        self._pulled[found.group_resource] = (origin, api)
        if api is None:
            _log.info("nothing describes %s", found.group_resource)
        return api

    async def _document(self, path: str, is_described: bool) -> Any:
        found = await self._client.get(f"/openapi/v3/{path}" if is_described else "/openapi/v2")
        if found is None:
            raise Failure(404, "NotFound", "the cluster has no OpenAPI document")
        return found
