"""Which resource types a logical cluster serves, and the documents that describe them.

Built-ins are the same values for every logical cluster; what a cluster adds to them (definitions of its own) hangs on
`cluster.cached` under EXTENSIONS and is looked at only when no built-in answers. Documents are made once per API set
and shared: discovery at once, in microseconds; OpenAPI by a helper process (`openapi_worker`), because building it
would hold the loop.
"""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Document, Object, Resource
from kcpshard.definitions.conversion import convert
from kcpshard.definitions.discovery import discovery_document
from kcpshard.storage.contract import LogicalCluster

EXTENSIONS = "definitions"  # key in LogicalCluster.cached: {(group, version, plural): Resource}


class Catalog:
    """The contract's Catalog over one API set."""

    def __init__(self, api_set: str = "minimal") -> None:
        self.api_set = api_set
        self._resources = builtin_resources(api_set)
        self._places = {(r.group, r.version, r.plural): r for r in self._resources}
        self._documents: dict[tuple[str, str], Document | None] = {}  # bounded: only known paths are kept

    def find(self, cluster: LogicalCluster | None, group: str, version: str, plural: str) -> Resource | None:
        found = self._places.get((group, version, plural))
        if found is None and cluster is not None:
            return self._extensions(cluster).get((group, version, plural))
        return found

    def resources(self, cluster: LogicalCluster | None) -> Sequence[Resource]:
        extensions = self._extensions(cluster) if cluster is not None else None
        return [*self._resources, *extensions.values()] if extensions else self._resources

    def document(
        self, cluster: LogicalCluster | None, path: str, accept: str, if_none_match: str
    ) -> Document | Coroutine[Any, Any, Document | None] | None:
        path = path.rstrip("/")
        key = (path, accept)
        found = self._documents.get(key)
        if found is None:
            found = discovery_document(self._resources, path, accept)
            if found is None:
                return None
            self._documents[key] = found
        return unless_known(found, if_none_match)

    def convert(self, obj: Object, wanted: Resource) -> Object:
        return convert(obj, wanted)

    def _extensions(self, cluster: LogicalCluster) -> Mapping[tuple[str, str, str], Resource]:
        found: Mapping[tuple[str, str, str], Resource] = cluster.cached.get(EXTENSIONS, {})  # type: ignore[assignment]
        return found


def unless_known(document: Document, if_none_match: str) -> Document:
    """304 without a body if the client has this version of it."""
    if document.etag and if_none_match and document.etag in (tag.strip() for tag in if_none_match.split(",")):
        return Document(304, b"", document.etag, document.content_type)
    return document
