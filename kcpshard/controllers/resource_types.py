"""The resource types of a logical cluster by other names than a request's: storage key, or apiVersion and kind."""

from collections.abc import Callable

from kcpshard.definitions.contract import Catalog, Resource
from kcpshard.storage.contract import LogicalCluster


class ResourceTypes:
    """Schemas of custom types may not be loaded in what is found; verbs load them when they are asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        builtin = [r for r in catalog.resources(None) if not r.virtual and r.definition is None]
        self._stored = {r.group_resource: r for r in builtin if r.storage_resource is None}
        self._kinds = {(r.api_version, r.kind): r for r in builtin}

    def stored_as(self, cluster: LogicalCluster, group_resource: str) -> Resource | None:
        """The type whose objects are kept under that key; of a custom type one of its served versions."""
        found = self._stored.get(group_resource)
        return found or self._custom(cluster, lambda r: r.group_resource == group_resource)

    def of_kind(self, cluster: LogicalCluster, api_version: str, kind: str) -> Resource | None:
        found = self._kinds.get((api_version, kind))
        return found or self._custom(cluster, lambda r: r.kind == kind and r.api_version == api_version)

    def stored(self, cluster: LogicalCluster) -> list[Resource]:
        """Every type of which objects are kept, once."""
        found = {r.group_resource: r for r in self._catalog.resources(cluster) if r.definition is not None}
        return [*self._stored.values(), *found.values()]

    def _custom(self, cluster: LogicalCluster, is_wanted: Callable[[Resource], bool]) -> Resource | None:
        found = (r for r in self._catalog.resources(cluster) if r.definition is not None and is_wanted(r))
        return next(found, None)
