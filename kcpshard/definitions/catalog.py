"""Which resource types a logical cluster serves, and the documents that describe them.

Built-ins are the same values for every logical cluster; what a cluster defines itself (`custom_catalog`) is looked at
only when no built-in answers. Documents are made once per API set
and shared: discovery at once, in microseconds; OpenAPI by a helper process (`openapi_worker`), because building it
would hold the loop.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

from kcpshard.callouts.calls import Callouts
from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Document, Object, Resource
from kcpshard.definitions.conversion import convert
from kcpshard.definitions.custom_catalog import CustomCatalog, Index
from kcpshard.definitions.custom_openapi import document_hash as document_hash_of
from kcpshard.definitions.custom_openapi_worker import CustomOpenApi
from kcpshard.definitions.discovery import aggregated_version, discovery_document, entity_tag
from kcpshard.definitions.legacy_definitions import with_legacy
from kcpshard.definitions.openapi import document_hash, document_paths, index
from kcpshard.definitions.openapi_worker import OpenApiDocuments
from kcpshard.definitions.webhook_conversion import WebhookConversions
from kcpshard.storage.contract import LogicalCluster, ObjectStore

_SHARED_BYTES = 32 << 20  # of discovery documents; when full they are made again


class Catalog:
    """The contract's Catalog over one API set."""

    def __init__(self, api_set: str = "minimal") -> None:
        self.api_set = api_set
        builtin = builtin_resources(api_set)
        self._resources = with_legacy(builtin)
        self._places = {(r.group, r.version, r.plural): r for r in self._resources}
        self._documents: dict[tuple[str, str], Document] = {}  # bounded: only paths and media types that exist
        self._hashes = {path: document_hash(path, api_set) for path in document_paths(builtin)}
        self._openapi = OpenApiDocuments(api_set)
        self._custom_openapi = CustomOpenApi(api_set)
        self.custom: CustomCatalog | None = None  # until there is a store to follow
        self._shared: dict[tuple[bytes, str, str], Document] = {}  # by what is defined, path and form
        self._shared_bytes = 0

    def follow(self, store: ObjectStore) -> None:
        """Serve what the logical clusters of this store define."""
        self.custom = CustomCatalog(store)

    def call_out(self, callouts: Callouts) -> None:
        """Have conversion webhooks asked by these."""
        assert self.custom is not None
        self.custom.conversions = WebhookConversions(callouts)

    def find(self, cluster: LogicalCluster | None, group: str, version: str, plural: str) -> Resource | None:
        place = (group, version, plural)
        found = self._places.get(place)
        if found is None and cluster is not None and self.custom is not None:
            return self.custom.find(cluster, place)
        return found

    def resources(self, cluster: LogicalCluster | None) -> Sequence[Resource]:
        """Schemas of custom resource types may not be loaded here: `find` is for whoever wants to use one."""
        index = self._index(cluster)
        return [*self._resources, *index.resources] if index is not None else self._resources

    def _index(self, cluster: LogicalCluster | None) -> Index | None:
        """None if nothing but the built-ins is served."""
        if cluster is None or self.custom is None:
            return None
        index = self.custom.index(cluster)
        return index if index.places else None

    def document(
        self, cluster: LogicalCluster | None, path: str, accept: str, if_none_match: str
    ) -> Document | Coroutine[Any, Any, Document | None] | None:
        path = path.partition("?")[0].rstrip("/")
        if path.startswith("/openapi/"):
            return self._openapi_document(cluster, path, if_none_match)
        aggregated = aggregated_version(accept)
        index = self._index(cluster)
        if index is not None:
            found = self._shared_document(index, path, aggregated)
            return None if found is None else unless_known(found, if_none_match)
        found = self._documents.get((path, aggregated))
        if found is None:
            found = discovery_document(self._resources, path, aggregated)
            if found is None:
                return None
            self._documents[path, aggregated] = found
        return unless_known(found, if_none_match)

    def _shared_document(self, index: Index, path: str, aggregated: str) -> Document | None:
        key = (index.key, path, aggregated)
        found = self._shared.get(key)
        if found is None:
            found = discovery_document([*self._resources, *index.resources], path, aggregated)
            if found is None:
                return None
            self._shared_bytes += len(found.body)
            if self._shared_bytes > _SHARED_BYTES:
                self._shared.clear()
                self._shared_bytes = len(found.body)
            self._shared[key] = found
        return found

    def _openapi_document(
        self, cluster: LogicalCluster | None, path: str, if_none_match: str
    ) -> Document | Coroutine[Any, Any, Document | None] | None:
        """A document's hash is known before it is built, so a client that has it is answered at once."""
        found = self._index(cluster)
        custom = found.document_digests if found is not None else {}
        if path == "/openapi/v3":
            hashes = {**self._hashes, **{p: document_hash_of(p, self.api_set, d) for p, d in custom.items()}}
            body = index(hashes)
            return unless_known(Document(200, body, entity_tag(body)), if_none_match)
        digests = custom.get(path)
        hash_ = document_hash_of(path, self.api_set, digests) if digests else self._hashes.get(path)
        if hash_ is None:
            return None
        known = unless_known(Document(200, b"", f'"{hash_}"'), if_none_match)
        if known.code == 304:
            return known
        if digests and found is not None and cluster is not None:
            return self._built_custom(cluster, found, path, hash_)
        return self._built(path, known)

    async def _built(self, path: str, document: Document) -> Document:
        return document._replace(body=await self._openapi.get(path))

    async def _built_custom(self, cluster: LogicalCluster, found: Index, path: str, hash_: str) -> Document:
        custom = self.custom
        assert custom is not None
        body = await self._custom_openapi.get(path, hash_, lambda: custom.documents(cluster, found.described(path)))
        return Document(200, body, f'"{hash_}"')

    def convert(self, obj: Object, wanted: Resource) -> Object:
        return convert(obj, wanted) if wanted.definition is None else wanted.definition.convert(obj, wanted)

    async def prepare(self, objects: Sequence[Object], wanted: Resource) -> None:
        if wanted.definition is not None:
            await wanted.definition.prepare(objects, wanted)


def unless_known(document: Document, if_none_match: str) -> Document:
    """304 without a body if the client has this version of it."""
    if document.etag and if_none_match and document.etag in (tag.strip() for tag in if_none_match.split(",")):
        return Document(304, b"", document.etag, document.content_type)
    return document
