"""The logical cluster of a workspace: born by the system, with its LogicalCluster, in one batch.

Where the path of a new Workspace is served by its own shard both are born together (`at_once`). Otherwise the shard
that holds the Workspace works out what it is born as (`tenancy.logical_clusters.document`) and has it born where its
path is served, by creating the LogicalCluster there, which only the system may.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.admission.workspaces import CLUSTER_NAME
from kcpshard.api.errors import ApiError, Forbidden, NotFound, object_exists
from kcpshard.api.objects import Object, timestamp
from kcpshard.api.requests import Identity, Request, decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster, NotDurable, PendingCommit
from kcpshard.tenancy import logical_clusters, type_graph, workspace_status
from kcpshard.tenancy.logical_clusters import Birth, settle, uid_of
from kcpshard.tenancy.names import CORE, FORK_OF, NAME, OWNER, VERSION, read_reference
from kcpshard.tenancy.type_graph import KnownType, TypeFault
from kcpshard.verbs import births
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.fork import begin_fork
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.stencils import random_uid
from kcpshard.verbs.writes import object_answer, put_of

_ACCOUNT = "system:serviceaccount:"


def create_logical_cluster(shard: Shard, request: Request) -> Outcome:
    """Raises Forbidden to everybody but the system, AlreadyExists if the path is taken."""
    identity = decode_identity(request.identity)
    if MASTERS not in identity.groups or identity.scope:
        shown = f'logicalclusters.{CORE} "{NAME}" is forbidden: LogicalCluster cannot be created'
        raise Forbidden(shown, name=NAME, group=CORE, kind="logicalclusters")
    shard.ownership.check(request.cluster)
    if shard.store.pending_cluster(request.cluster) is not None:
        raise object_exists(CORE, "logicalclusters", NAME)
    resource = logical_cluster_type(shard)
    document = decode_object(request.body, resource, shard.catalog, None)
    _, pending, stored = bear(shard, request.cluster, document)
    stored["metadata"]["resourceVersion"] = str(pending.revision)
    return AfterSync(object_answer(resource, request, 201, orjson.dumps(stored)), pending.group)


def bear(shard: Shard, path: str, document: Object) -> tuple[LogicalCluster, PendingCommit, Object]:
    """The logical cluster with its LogicalCluster, which is returned as it is stored. Raises NotOwned; of a fork
    also Invalid and NotDurable."""
    resource = logical_cluster_type(shard)
    owner = ((document.get("spec") or {}).get("owner") or {}).get("uid")
    uid = uid_of(owner) if owner else random_uid()
    born = {"uid": uid, "creationTimestamp": timestamp(shard.now_us()), "generation": 1}
    stored = {**document, "metadata": {**document["metadata"], "name": NAME, **born}}
    settle(stored)
    creator = _creator((stored.get("spec") or {}).get("createdBy"))
    put = put_of(resource, stored, "")
    origin = (stored["metadata"].get("annotations") or {}).get(FORK_OF)
    if origin:
        cluster, pending = begin_fork(shard, origin, path, creator, [put])
    else:
        cluster, pending = births.bear(shard, path, creator, [put])
    return cluster, pending, stored


def birth_of(shard: Shard, parent: str, workspace: Mapping[str, Any]) -> Birth:
    """What the logical cluster of a Workspace in `parent` is born as. Raises TypeFault, and NotDurable while another
    shard is asked about a type."""
    path = f"{parent}:{workspace['metadata']['name']}"
    reference = read_reference(workspace["spec"].get("type") or {})
    find = shard.directory.find_type
    spec = find(reference)
    if spec is None:
        raise TypeFault(f"workspace type {reference} not found")
    types = type_graph.everything_it_is(KnownType(reference, spec), find)
    owner = (workspace["metadata"].get("annotations") or {}).get(OWNER)
    return Birth(
        path, f"{shard.url}/clusters/{path}", reference, workspace, parent, orjson.loads(owner) if owner else None,
        type_graph.initializers(types), type_graph.terminators(types), type_graph.inherited(types),
    )  # fmt: skip


def at_once(shard: Shard, parent: str, workspace: Object) -> tuple[Object, Birth] | None:
    """A Workspace that is about to be stored, as it will be with its logical cluster, and how that is to be `bear`n
    in the same batch. None: what is missing is found elsewhere, and a controller goes on when it is stored."""
    path = f"{parent}:{workspace['metadata']['name']}"
    is_fork = FORK_OF in (workspace["metadata"].get("annotations") or {})
    if is_fork or not shard.is_ours(path) or shard.store.pending_cluster(path) is not None:
        return None
    try:
        birth = birth_of(shard, parent, workspace)
    except (TypeFault, NotDurable, ApiError):
        return None
    document = logical_clusters.document(birth)
    return workspace_status.scheduled(workspace, path, birth.url, document, timestamp(shard.now_us())), birth


def logical_cluster_type(shard: Shard) -> Resource:
    found = shard.catalog.find(None, CORE, VERSION, "logicalclusters")
    if found is None:
        raise NotFound("logicalclusters are not served here")
    return found


def _creator(info: Mapping[str, Any] | None) -> Identity | None:
    """Who becomes the administrator. A service account of another logical cluster is somebody else here."""
    if not info or not info.get("username"):
        return None
    name, homes = info["username"], (info.get("extra") or {}).get(CLUSTER_NAME)
    if homes and name.startswith(_ACCOUNT):
        name = f"system:kcp:serviceaccount:{homes[0]}:{name.removeprefix(_ACCOUNT)}"
    return Identity(name)
