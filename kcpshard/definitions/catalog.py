"""Which resource types a logical cluster serves, and the documents that describe them.

Built-ins are the same values for every logical cluster, and so are the types of kcp's own groups (`provided`); what a
cluster defines itself (`custom_catalog`) is looked at only when none of them answers. Documents are made once per API
set and shared: discovery at once, in microseconds; OpenAPI by a helper process (`openapi_worker`), because building it
would hold the loop.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError
from kcpshard.definitions import provided
from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Document, Object, Resource
from kcpshard.definitions.conversion import convert
from kcpshard.definitions.custom_catalog import CustomCatalog, Index, Inheritance
from kcpshard.definitions.custom_openapi import chosen_set
from kcpshard.definitions.custom_openapi import document_hash as document_hash_of
from kcpshard.definitions.custom_openapi_worker import CustomOpenApi
from kcpshard.definitions.custom_resources import Definition
from kcpshard.definitions.discovery import aggregated_version, discovery_document, entity_tag
from kcpshard.definitions.legacy_definitions import with_legacy
from kcpshard.definitions.openapi import V2, document_hash, document_paths, group_version_path, index
from kcpshard.definitions.openapi_worker import OpenApiDocuments
from kcpshard.definitions.remote_apis import OWN_HEADERS, RemoteApi, RemoteApis, RemoteIndex, UseProxy
from kcpshard.definitions.remote_discovery import with_aggregated, with_groups
from kcpshard.definitions.remote_openapi import RemoteOpenApi
from kcpshard.definitions.webhook_conversion import WebhookConversions
from kcpshard.storage.contract import LogicalCluster, ObjectStore

_MERGED = 16  # documents of one logical cluster with what other servers answer for
_FETCH_S = 10.0  # of an OpenAPI document of another server
_SHARED_BYTES = 32 << 20  # of discovery documents; when full they are made again


class Catalog:
    """The contract's Catalog over one API set."""

    def __init__(self, api_set: str = "minimal") -> None:
        self.api_set = api_set
        builtin = builtin_resources(api_set)
        self._provided = provided.ProvidedTypes()
        self._places = {(r.group, r.version, r.plural): r for r in with_legacy(builtin)}
        self._resources = [*self._places.values(), *self._provided.resources]
        self._documents: dict[tuple[str, str], Document] = {}  # bounded: only paths and media types that exist
        self._hashes = {path: document_hash(path, api_set) for path in document_paths(builtin)}
        own = provided.document_digests()
        self._hashes |= {path: document_hash_of(path, api_set, digests) for path, digests in own.items()}
        self._openapi = OpenApiDocuments(api_set)
        self.custom_openapi = CustomOpenApi(api_set)
        self.custom: CustomCatalog | None = None  # until there is a store to follow
        self.remote: RemoteApis | None = None
        self._callouts: Callouts | None = None
        self.remote_openapi: RemoteOpenApi | None = None
        self._shared: dict[tuple[bytes, str, str], Document] = {}  # by what is defined, path and form
        self._shared_bytes = 0

    def follow(self, store: ObjectStore) -> None:
        """Serve what the logical clusters of this store define."""
        self.custom = CustomCatalog(store)
        self.remote = RemoteApis(store)

    def inherit(self, inheritance: Inheritance) -> None:
        """Serve what ancestors define too."""
        if self.custom is not None:
            self.custom.inheritance = inheritance

    def inherited_changed(self, path: str) -> None:
        if self.custom is not None:
            self.custom.ancestor_changed(path)

    def heirs(self, path: str) -> Sequence[LogicalCluster]:
        return self.custom.heirs(path) if self.custom is not None else ()

    def conflicts(self, cluster: LogicalCluster) -> Sequence[str]:
        return self.custom.index(cluster).conflicts if self.custom is not None else ()

    def call_out(self, callouts: Callouts) -> None:
        """Have conversion webhooks asked by these."""
        assert self.custom is not None
        self._callouts = callouts
        self.remote_openapi = RemoteOpenApi(callouts)
        self.custom.conversions = WebhookConversions(callouts)

    def find(self, cluster: LogicalCluster | None, group: str, version: str, plural: str) -> Resource | None:
        place = (group, version, plural)
        found = self._places.get(place) or self._provided.find(place)
        if found is None and cluster is not None and self.custom is not None:
            return self.custom.find(cluster, place)
        return found

    def resources(self, cluster: LogicalCluster | None) -> Sequence[Resource]:
        """Schemas of custom resource types may not be loaded here: `find` is for whoever wants to use one."""
        index = self._index(cluster)
        return [*self._resources, *index.resources] if index is not None else self._resources

    def remote_api(self, cluster: LogicalCluster | None, group: str, version: str) -> RemoteApi | None:
        return self.remote.find(cluster, group, version) if self.remote is not None else None

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
            remote = self.remote.index(cluster) if path == V2 and self.remote is not None else None
            if remote is not None and cluster is not None:
                return self._merged_openapi(cluster, remote, if_none_match)
            return self._openapi_document(cluster, path, if_none_match)
        aggregated = aggregated_version(accept)
        remote = self.remote.index(cluster) if self.remote is not None else None
        if remote is not None and cluster is not None:
            found = self._merged_document(cluster, remote, path, aggregated)
            return None if found is None else unless_known(found, if_none_match)
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

    def _merged_document(
        self, cluster: LogicalCluster, remote: RemoteIndex, path: str, aggregated: str
    ) -> Document | None:
        """Of what is served here and what other servers answer for. Raises UseProxy for a document of theirs."""
        parts = path.split("/")
        if len(parts) == 4 and (parts[2], parts[3]) in remote.apis:
            raise UseProxy()
        index = self._index(cluster)
        key = (path, aggregated, index.key if index is not None else b"")
        if key not in remote.documents:
            if len(remote.documents) > _MERGED:
                remote.documents.clear()
            local = [r for r in self.resources(cluster) if (r.group, r.version) not in remote.apis]
            remote.documents[key] = self._merged(cluster, remote, local, path, aggregated)
        return remote.documents[key]

    def _merged(
        self, cluster: LogicalCluster, remote: RemoteIndex, local: Sequence[Resource], path: str, aggregated: str
    ) -> Document | None:
        assert self.remote is not None
        apis, described = remote.apis.values(), self.remote.described
        root = "/apis" if path.startswith("/apis/") and path.count("/") == 2 else path
        base = discovery_document(local, root, aggregated)
        if base is None or root != "/apis":
            return base
        found = orjson.loads(base.body)
        if aggregated and path == root:
            found["items"] = with_aggregated(found["items"], apis, lambda name: described(cluster, name))
            body = orjson.dumps(found)
            return Document(200, body, entity_tag(body), base.content_type)
        groups = with_groups(found["groups"], apis)
        if path == root:
            return Document(200, orjson.dumps({**found, "groups": groups}))
        group = next((g for g in groups if f"/apis/{g['name']}" == path), None)
        return Document(200, orjson.dumps({"kind": "APIGroup", "apiVersion": "v1", **group})) if group else None

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
            hashes = {**self._hashes, **{p: self._custom_hash(p, d) for p, d in custom.items()}}
            body = self._with_remote_openapi(cluster, index(hashes))
            return unless_known(Document(200, body, entity_tag(body)), if_none_match)
        if cluster is not None and (api := self._remote_openapi(cluster, path)) is not None:
            return self._fetched(cluster, api, if_none_match)
        digests = custom.get(path)
        hash_ = self._custom_hash(path, digests) if digests else self._hashes.get(path)
        if hash_ is None:
            return None
        known = unless_known(Document(200, b"", f'"{hash_}"'), if_none_match)
        if known.code == 304:
            return known
        if digests and found is not None and cluster is not None:
            return self._built_custom(cluster, found, path, hash_)
        return self._built(path, known)

    def _custom_hash(self, path: str, digests: Sequence[str]) -> str:
        return document_hash_of(path, self.api_set, [*provided.document_digests().get(path, ()), *digests])

    async def _merged_openapi(
        self, cluster: LogicalCluster, remote: RemoteIndex, if_none_match: str
    ) -> Document | None:
        """OpenAPI v2 with what other servers answer for."""
        found = self._openapi_document(cluster, V2, "")
        local = await found if isinstance(found, Coroutine) else found
        if local is None or self.remote_openapi is None:
            return local
        document = await self.remote_openapi.document(cluster, list(remote.apis.values()), local)
        return unless_known(document, if_none_match)

    def openapi_of(
        self,
        account: str,
        builtin: Sequence[Resource],
        definitions: Sequence[tuple[Definition, Object]],
        path: str,
        if_none_match: str,
    ) -> Document | Coroutine[Any, Any, Document | None] | None:
        """OpenAPI of these types alone, built on the account of that logical cluster. None: there is nothing at
        that path."""
        api_set = chosen_set(self.api_set, builtin)
        own = [(each, obj) for definition, obj in definitions for each in definition.resources.values()]
        places = {V2, *map(group_version_path, builtin), *(group_version_path(each) for each, _ in own)}
        digests = [definition.digest for definition, _ in definitions]
        if path == "/openapi/v3":
            body = index({place: document_hash_of(place, api_set, digests) for place in sorted(places)})
            return unless_known(Document(200, body, entity_tag(body)), if_none_match)
        if path not in places:
            return None
        hash_ = document_hash_of(path, api_set, digests)
        known = unless_known(Document(200, b"", f'"{hash_}"'), if_none_match)
        if known.code == 304:
            return known
        return self._built_of(account, api_set, [obj for _, obj in definitions], path, hash_)

    async def _built_of(
        self, account: str, api_set: str, documents: Sequence[Object], path: str, hash_: str
    ) -> Document:
        async def described(head: bytes) -> bytes:
            return head + orjson.dumps(documents)

        body = await self.custom_openapi.get(account, path, hash_, described, api_set)
        return Document(200, body, f'"{hash_}"')

    def _with_remote_openapi(self, cluster: LogicalCluster | None, body: bytes) -> bytes:
        """The paths of those that have said where their document is."""
        remote = self.remote.index(cluster) if self.remote is not None else None
        if remote is None or cluster is None or self.remote is None:
            return body
        found = orjson.loads(body)
        for api in remote.apis.values():
            place = api.path.removeprefix("/")
            found["paths"].pop(place, None)
            described = self.remote.described(cluster, api.name)
            if described is not None and described.openapi:
                hash_ = described.openapi.partition("?")
                found["paths"][place] = {"serverRelativeURL": f"/openapi/v3{api.path}{hash_[1]}{hash_[2]}"}
        return orjson.dumps(found)

    def _remote_openapi(self, cluster: LogicalCluster, path: str) -> RemoteApi | None:
        parts = path.split("/")
        return self.remote_api(cluster, parts[4], parts[5]) if len(parts) == 6 and parts[3] == "apis" else None

    async def _fetched(self, cluster: LogicalCluster, api: RemoteApi, if_none_match: str) -> Document | None:
        assert self.remote is not None and self._callouts is not None
        described = self.remote.described(cluster, api.name)
        if described is None or not described.openapi:
            return None
        path, _, query = described.openapi.partition("?")
        try:
            answer = await self._callouts.call(cluster.id, api.at(path), "GET", b"", _FETCH_S, query, OWN_HEADERS)
        except CalloutError as error:
            raise ServiceUnavailable(f"error trying to reach service: {error}") from None
        if answer.code != 200:
            return None
        etag = answer.headers.get("etag") or entity_tag(answer.body)
        return unless_known(Document(200, answer.body, etag), if_none_match)

    async def _built(self, path: str, document: Document) -> Document:
        return document._replace(body=await self._openapi.get(path))

    async def _built_custom(self, cluster: LogicalCluster, found: Index, path: str, hash_: str) -> Document:
        custom = self.custom
        assert custom is not None
        body = await self.custom_openapi.get(
            cluster.path, path, hash_, lambda head: custom.documents(cluster, found.described(path), head)
        )
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
