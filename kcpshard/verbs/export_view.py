"""Requests through the view of an APIExport: the exporter's way to the objects of its types wherever they are bound.

Decides who may (the verb on `apiexports/content` in the exporter's logical cluster, wherever that is served) and to
what (the types of the binding, and what its permission claims allow). Rights in the logical cluster that binds do not
count: its owner has bound, and accepted. What is done is done under the caller's own name, as an administrator there.
"""

import orjson

from kcpshard.api.errors import Forbidden, NotFound, resource_not_found
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes, refused
from kcpshard.authorization.policy import MASTERS
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy.bound_apis import Claim
from kcpshard.tenancy.exports import APIS, OLD_VERSION, ExportReference
from kcpshard.verbs.proofs import prove
from kcpshard.verbs.shard import Shard

# Of claimed objects: a claim on service accounts is none on their tokens.
_CLAIMED_PARTS = ("", "status")


def read_view(raw: bytes) -> ExportReference:
    """Of Request.view or StartWatch.view."""
    path, name = orjson.loads(raw)
    return ExportReference(path, name)


def check_content(shard: Shard, raw: bytes, proof: bytes, export: ExportReference, verb: str) -> None:
    """`proof`: what must still be true of the credential, in the exporter's logical cluster. Raises Forbidden,
    Unauthorized, NotDurable until the exporter's shard has answered, ServiceUnavailable."""
    if proof and shard.is_ours(export.path):
        prove(shard, export.path, proof)
    identity = decode_identity(raw)
    if MASTERS in identity.groups and not identity.scope:
        return
    wanted = Attributes(verb, APIS, OLD_VERSION, "apiexports", "content", "", export.name)
    if not shard.directory.may(raw, export.path, wanted, proof):
        raise refused(identity.username, wanted, f'the view of the APIExport "{export}"')


def offers(shard: Shard, cluster: LogicalCluster, export: ExportReference, wanted: Attributes) -> bool:
    """Whether a logical cluster lets the exporter do that."""
    binding = shard.bound.through(cluster, export)
    if binding is None:
        return False
    type_ = (wanted.group, wanted.resource)
    if type_ in binding.types:
        return True
    claim = binding.claims.get(type_)
    return claim is not None and claim.allows(wanted.verb)


def admitted(shard: Shard, request: pb.Request, wanted: Attributes) -> pb.Request:
    """The request as it is to be done in its logical cluster. Raises as `check_content`, and NotFound."""
    export = read_view(request.view)
    check_content(shard, request.identity, request.proof, export, wanted.verb)
    shard.ownership.check(request.cluster)
    cluster = shard.store.find_cluster(request.cluster)
    binding = shard.bound.through(cluster, export) if cluster is not None else None
    if cluster is None or binding is None:
        text = f'the logical cluster "{request.cluster}" does not bind the APIExport "{export}"'
        raise NotFound(text, name=request.cluster, kind="logicalclusters")
    type_ = (wanted.group, wanted.resource)
    if type_ not in binding.types:
        claim = binding.claims.get(type_)
        if claim is None:
            raise resource_not_found()
        _check_claim(shard, request, cluster, claim, wanted)
    copy = pb.Request()
    copy.CopyFrom(request)
    copy.identity, copy.view, copy.proof = _administrator(request.identity, cluster).encode(), b"", b""
    return copy


def _administrator(raw: bytes, cluster: LogicalCluster) -> Identity:
    """The caller, with all rights in this one logical cluster: what may be done has been decided."""
    identity = decode_identity(raw)
    return identity._replace(groups=(*identity.groups, MASTERS), scope=cluster.id)


def _check_claim(shard: Shard, request: pb.Request, cluster: LogicalCluster, claim: Claim, wanted: Attributes) -> None:
    """Raises Forbidden, NotFound for an object that the claim's selector leaves out."""
    if not claim.allows(wanted.verb) or wanted.subresource not in _CLAIMED_PARTS:
        user = decode_identity(request.identity).username
        raise refused(user, wanted, f"the permission claim accepted in {request.cluster} does not allow it")
    if claim.labels is None:
        return
    if wanted.verb == "deletecollection":
        raise Forbidden("deletecollection is not possible through a permission claim with a selector")
    value = None
    if request.name:
        resource = shard.catalog.find(cluster, request.group, request.version, request.resource)
        stored = (resource.storage_resource or resource).group_resource if resource is not None else ""
        value = shard.store.pending(cluster, stored, request.namespace, request.name) if stored else None
        if value is not None and not claim.labels.matches(envelope.labels(value)):
            raise NotFound(f'{request.resource} "{request.name}" not found', name=request.name, kind=request.resource)
    is_new = request.verb == pb.PATCH and request.patch_type == pb.APPLY and value is None
    if (is_new or request.verb in (pb.CREATE, pb.UPDATE)) and not claim.labels.matches(_labels(request.body)):
        raise Forbidden("the object's labels are not those that the permission claim is accepted for")


def _labels(body: bytes) -> dict[str, str]:
    try:
        metadata = orjson.loads(body).get("metadata") or {}
        found = metadata.get("labels") or {}
    except (orjson.JSONDecodeError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
