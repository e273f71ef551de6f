"""Discovery in the view of an APIExport: its own types, and those that it claims as far as they are Kubernetes' own.

Asked of the exporter's logical cluster, where the schemas are. OpenAPI is not served: the logical clusters that bind
describe the types.
"""

from collections.abc import Sequence

import orjson

from kcpshard.api.errors import NotFound, PageNotFound
from kcpshard.api.requests import Answer
from kcpshard.api.version_order import version_priority
from kcpshard.definitions.api_schemas import definition_of
from kcpshard.definitions.catalog import unless_known
from kcpshard.definitions.contract import Object, Resource
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


def view_document(shard: Shard, request: pb.Request) -> Answer:
    """Raises Forbidden, NotFound, NotOwned, NotDurable."""
    export = read_view(request.view)
    check_content(shard, request.identity, request.proof, export, "get")
    shard.ownership.check(export.path)
    cluster = shard.store.find_cluster(export.path)
    found = _document(shard, cluster, EXPORTS, export.name) if cluster is not None else None
    if cluster is None or found is None:
        raise NotFound(f'apiexports.apis.kcp.io "{export.name}" not found', name=export.name, kind="apiexports")
    path = request.name.partition("?")[0].rstrip("/")
    resources = _resources(shard, cluster, export, found)
    document = discovery_document(resources, path, aggregated_version(request.accept))
    if document is None:
        raise PageNotFound()
    known = unless_known(document, request.if_none_match)
    return Answer(known.code, known.body, etag=known.etag, content_type=known.content_type)


def _resources(shard: Shard, cluster: LogicalCluster, export: ExportReference, found: Object) -> Sequence[Resource]:
    """In discovery order."""
    own = list[Resource]()
    for offer in exports.offered(found):
        schema = _document(shard, cluster, SCHEMAS, offer.schema)
        if schema is not None:
            own += Definition(summary(definition_of(schema, export.name))).resources.values()
    claimed = {(each.get("group") or "", each["resource"]) for each in exports.claims(found)}
    builtin = [each for each in shard.catalog.resources(None) if (each.group, each.plural) in claimed]
    return [*builtin, *sorted(own, key=lambda r: (r.group, version_priority(r.version), r.plural))]


def _document(shard: Shard, cluster: LogicalCluster, group_resource: str, name: str) -> Object | None:
    value = shard.store.pending(cluster, group_resource, "", name)
    return None if value is None else orjson.loads(envelope.body(value))
