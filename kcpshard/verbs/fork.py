"""fork: a new logical cluster that begins as the present state of another one, which shares its objects with it.

    POST /clusters/ORIGIN/apis/changes.kcp.io/v1alpha1/forks      {"spec": {"path": "try"}}

makes one without a parent; a workspace becomes a fork by the annotation changes.kcp.io/fork-of on its Workspace. Both
need the right to create forks.changes.kcp.io in the origin. A fork is born at its origin's shard: where its path is
another's, that one gives it up first. What the fork knows of its beginning is the ConfigMap kcp-fork in its
kube-system: `at` is the newest revision of the origin then.
"""

from collections.abc import Sequence

import orjson

from kcpshard.api.errors import BadRequest, Invalid, NotFound, invalid, object_exists, object_invalid, required
from kcpshard.api.names import cluster_path
from kcpshard.api.objects import Object, timestamp
from kcpshard.api.requests import Answer, Identity, Request, decode_identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, PendingCommit, Put
from kcpshard.storage.forks import ForkRefused
from kcpshard.verbs import births
from kcpshard.verbs.outcome import AfterSync, NotOwned, Outcome, PlacementRefused
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.stencils import random_uid
from kcpshard.verbs.target import check_path
from kcpshard.verbs.transaction_form import API_VERSION, GROUP, VERSION

RESOURCE, KIND = "forks", "Fork"
CONFIG_MAPS, NAMESPACE, FACTS = "configmaps", "kube-system", "kcp-fork"


def fork(shard: Shard, request: Request) -> Outcome:
    shard.ownership.check(request.cluster)
    origin = shard.store.find_cluster(request.cluster)
    check_path(origin, request.cluster)
    if origin is None:
        raise NotFound(f'logical cluster "{request.cluster}" not found', name=request.cluster, kind="logicalclusters")
    path = _wanted(request.body)
    existing = shard.store.pending_cluster(path)
    if existing is not None:
        if request.repeat and (pending := facts_of(shard, existing)) and pending["originId"] == str(origin.id):
            return _answer(path, origin)
        raise object_exists(GROUP, RESOURCE, path)
    wanted = Attributes("create", GROUP, VERSION, RESOURCE, "", "", path)
    shard.authorizer.check(None, path, request.identity, wanted)
    if request.dry_run:
        return _answer(path, origin)
    if not shard.is_ours(path) and shard.place is not None:
        return _elsewhere(shard, origin, path, request.identity)
    return _begin(shard, origin, path, request.identity)


async def _elsewhere(shard: Shard, origin: LogicalCluster, path: str, identity: bytes) -> AfterSync:
    """The path is another shard's."""
    await place(shard, path, origin.path)
    return _begin(shard, origin, path, identity)


def _begin(shard: Shard, origin: LogicalCluster, path: str, identity: bytes) -> AfterSync:
    _, commit = begin_fork(shard, origin.path, path, decode_identity(identity))
    return AfterSync(_answer(path, origin), commit.group)


async def place(shard: Shard, path: str, origin: str) -> None:
    """Until a fork of `origin` can be born at `path`. Raises Invalid, ServiceUnavailable."""
    if shard.place is not None and not (shard.is_ours(path) and shard.is_ours(origin)):
        try:
            await shard.place(path, origin)
        except PlacementRefused as refusal:
            raise _refused(path, f"{origin} cannot be forked to {path}: {refusal}") from refusal


def _wanted(body: bytes) -> str:
    try:
        document = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise BadRequest(f"the body is not a {KIND} of {API_VERSION}")
    spec = document.get("spec")
    path = spec.get("path") if isinstance(spec, dict) else None
    if not path:
        raise object_invalid(GROUP, KIND, "", [required("spec.path", "where the fork is to be")])
    if not isinstance(path, str) or cluster_path(path) is None:
        raise object_invalid(GROUP, KIND, "", [invalid("spec.path", path, "is no path of a logical cluster")])
    if ":" in path:
        text = "is a workspace: make it by a Workspace with the annotation changes.kcp.io/fork-of"
        raise object_invalid(GROUP, KIND, "", [invalid("spec.path", path, text)])
    return path


def _answer(path: str, origin: LogicalCluster) -> Answer:
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {}, "spec": {"path": path}}
    return Answer(201, orjson.dumps({**document, "status": {"origin": origin.path}}))


def begin_fork(
    shard: Shard, origin_path: str, path: str, creator: Identity | None, more: Sequence[Put] = ()
) -> tuple[LogicalCluster, PendingCommit]:
    """The fork at a path that is free; `more` is born with it. The caller has checked rights. Raises Invalid where
    there cannot be one, NotDurable while something is pending."""
    try:
        shard.ownership.check(path)
        shard.ownership.check(origin_path)
    except NotOwned as elsewhere:
        raise _refused(path, f"{origin_path} and {path} belong to different shards") from elsewhere
    origin = shard.store.find_cluster(origin_path)
    if origin is None or origin.state != "Active":
        raise _refused(path, f"there is no logical cluster {origin_path}")
    puts = [*more, _facts(shard, origin)]
    if creator is not None and MASTERS not in creator.groups:
        puts.append(births.administrator(creator.username, shard.now_us()))
    try:
        cluster, pending = shard.store.fork_cluster(origin, path, puts)
    except ForkRefused as refusal:
        raise _refused(path, f"{origin_path} cannot be forked: {refusal}") from refusal
    pending.group.when_durable(lambda: shard.look_through(cluster))
    return cluster, pending


def _refused(path: str, text: str) -> Invalid:
    return object_invalid(GROUP, KIND, path, [invalid("spec.path", path, text)])


def facts_of(shard: Shard, cluster: LogicalCluster) -> Object | None:
    """What a logical cluster says of its beginning as a fork."""
    value = shard.store.pending(cluster, CONFIG_MAPS, NAMESPACE, FACTS)
    found: Object | None = orjson.loads(envelope.body(value)).get("data") if value is not None else None
    return found


def _facts(shard: Shard, origin: LogicalCluster) -> Put:
    uid = random_uid()
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": FACTS,
            "namespace": NAMESPACE,
            "uid": uid,
            "creationTimestamp": timestamp(shard.now_us()),
        },
        "data": {"origin": origin.path, "originId": str(origin.id), "at": str(shard.store.durable_revision)},
    }
    json, hole, annotations = envelope.encode_object(document)
    return Put(CONFIG_MAPS, NAMESPACE, FACTS, json, hole, annotations, uid, "v1", {}, {})
