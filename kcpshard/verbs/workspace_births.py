"""The logical cluster of a workspace: born by the system, with its LogicalCluster, in one batch.

The shard that holds the Workspace works out what it is born as (`tenancy.logical_clusters.document`) and has it born
where its path is served: here directly, elsewhere by creating the LogicalCluster there, which only the system may.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.admission.workspaces import CLUSTER_NAME
from kcpshard.api.errors import Forbidden, NotFound, object_exists
from kcpshard.api.objects import Object, timestamp
from kcpshard.api.requests import Identity, Request, decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster, PendingCommit
from kcpshard.tenancy.logical_clusters import settle
from kcpshard.tenancy.names import CORE, FORK_OF, NAME, VERSION
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
    born = {"uid": random_uid(), "creationTimestamp": timestamp(shard.now_us()), "generation": 1}
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
