"""A Workspace is let go by the shard on which its logical cluster has ended.

    DELETE …/workspaces/NAME/logicalcluster {"uid": …}

The finalizer that stands for the logical cluster goes, and where it was the last one the Workspace with it. Only the
system may. Thousands end at a time: this is one look and one commit, where an update would validate the object anew.
"""

import orjson

from kcpshard.api.errors import Forbidden, object_not_found, resource_not_found
from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster
from kcpshard.tenancy.names import FINALIZER, TENANCY, VERSION, WORKSPACES
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.writes import put_of, remove_of, success

LOGICAL_CLUSTER = "logicalcluster"
_AUTHOR = "system:kcp:shard"


def release_workspace(shard: Shard, request: Request) -> Outcome:
    """Raises Forbidden to everybody but the system; NotFound where there is no such Workspace any more."""
    if (request.group, request.resource) != (TENANCY, "workspaces"):
        raise resource_not_found()
    identity = decode_identity(request.identity)
    if MASTERS not in identity.groups or identity.scope:
        shown = f'workspaces.{TENANCY} "{request.name}" is forbidden: its logical cluster is ended by the system only'
        raise Forbidden(shown, name=request.name, group=TENANCY, kind="workspaces")
    shard.ownership.check(request.cluster)
    cluster = shard.store.pending_cluster(request.cluster)
    given = orjson.loads(request.body or b"{}")
    uid = given.get("uid") if isinstance(given, dict) else None
    group = release(shard, cluster, request.name, uid) if cluster is not None else None
    if group is None:
        raise object_not_found(TENANCY, "workspaces", request.name)
    answer: Answer = success(200)
    return AfterSync(answer, group)


def release(shard: Shard, cluster: LogicalCluster, name: str, uid: str | None) -> Group | None:
    """In this loop turn. None: it is not there, another one now, or not being deleted."""
    value = shard.store.pending(cluster, WORKSPACES, "", name)
    if value is None or envelope.uid(value) != uid:
        return None
    workspace: Object = orjson.loads(envelope.body(value))
    meta = workspace["metadata"]
    if not meta.get("deletionTimestamp"):
        return None
    others = [each for each in meta.get("finalizers") or () if each != FINALIZER]
    resource = _type(shard, cluster)
    if not others:
        return shard.store.commit(cluster, (remove_of(resource, "", name, value),), author=_AUTHOR).group
    new = {**workspace, "metadata": {**meta, "finalizers": others}}
    return shard.store.commit(cluster, (put_of(resource, new, ""),), author=_AUTHOR).group


def _type(shard: Shard, cluster: LogicalCluster) -> Resource:
    found = shard.catalog.find(cluster, TENANCY, VERSION, "workspaces")
    assert found is not None, "always served"
    return found
