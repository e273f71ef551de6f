"""Discovery and OpenAPI in the view of an APIExport: its own types, and those that it claims as far as they are
Kubernetes' own. Asked of the exporter's logical cluster, where the schemas are.
"""

from collections.abc import Coroutine
from typing import Any

import orjson

from kcpshard.api.errors import NotFound, PageNotFound
from kcpshard.api.requests import Answer
from kcpshard.api.version_order import version_priority
from kcpshard.definitions.api_schemas import definition_of
from kcpshard.definitions.catalog import unless_known
from kcpshard.definitions.contract import Document, Object, Resource
from kcpshard.definitions.crd_documents import summary
from kcpshard.definitions.custom_resources import Definition
from kcpshard.definitions.discovery import aggregated_version, discovery_document
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy import exports
from kcpshard.tenancy.exports import EXPORTS, SCHEMAS, ExportReference
from kcpshard.verbs.export_view import check_content, read_view
from kcpshard.verbs.shard import Shard


def view_document(shard: Shard, request: pb.Request) -> Answer | Coroutine[Any, Any, Answer]:
    """Raises Forbidden, NotFound, NotOwned, NotDurable."""
    export = read_view(request.view)
    check_content(shard, request.identity, request.proof, export, "get")
    shard.ownership.check(export.path)
    cluster = shard.store.find_cluster(export.path)
    found = _document(shard, cluster, EXPORTS, export.name) if cluster is not None else None
    if cluster is None or found is None:
        raise NotFound(f'apiexports.apis.kcp.io "{export.name}" not found', name=export.name, kind="apiexports")
    path = request.name.partition("?")[0].rstrip("/")
    builtin, definitions = _claimed(shard, found), _definitions(shard, cluster, export, found)
    if path.startswith("/openapi/"):
        openapi = shard.catalog.openapi_of(export.path, builtin, definitions, path, request.if_none_match)
        return _later(openapi) if isinstance(openapi, Coroutine) else _answer(openapi)
    own = [each for definition, _ in definitions for each in definition.resources.values()]
    own.sort(key=lambda r: (r.group, version_priority(r.version), r.plural))
    document = discovery_document([*builtin, *own], path, aggregated_version(request.accept))
    return _answer(unless_known(document, request.if_none_match) if document is not None else None)


async def _later(building: Coroutine[Any, Any, Document | None]) -> Answer:
    return _answer(await building)


def _answer(found: Document | None) -> Answer:
    if found is None:
        raise PageNotFound()
    return Answer(found.code, found.body, etag=found.etag, content_type=found.content_type)


def _claimed(shard: Shard, found: Object) -> list[Resource]:
    claimed = {(each.get("group") or "", each["resource"]) for each in exports.claims(found)}
    return [each for each in shard.catalog.resources(None) if (each.group, each.plural) in claimed]


def _definitions(
    shard: Shard, cluster: LogicalCluster, export: ExportReference, found: Object
) -> list[tuple[Definition, Object]]:
    """The types of its own, each with the document that defines it."""
    own = list[tuple[Definition, Object]]()
    for offer in exports.offered(found):
        schema = _document(shard, cluster, SCHEMAS, offer.schema)
        if schema is not None:
            document = definition_of(schema, export.name)
            own.append((Definition(summary(document)), document))
    return own


def _document(shard: Shard, cluster: LogicalCluster, group_resource: str, name: str) -> Object | None:
    value = shard.store.pending(cluster, group_resource, "", name)
    return None if value is None else orjson.loads(envelope.body(value))
