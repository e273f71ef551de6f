"""What create, update, patch and delete share: an object into the store, an accepted write into an answer.

Also the answer to a write that is repeated after its first answer was lost: the log knows what it did.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from kcpshard.admission import service_addresses
from kcpshard.api.errors import RequestEntityTooLarge
from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, Put, Remove
from kcpshard.verbs import cluster_limits
from kcpshard.verbs.get import served_body
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

# The HTTP code that a log record carries for a deletion answered by a Status: not 200, so that a repeat can tell it
# from an update that removed the last finalizer and answered with the object.
REMOVED = 299
# Types whose deletion is answered with the object and not with a Status (`ReturnDeletedObject` upstream).
RETURNED = frozenset(
    {
        "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas",
        "serviceaccounts", "services", "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io",
        "deviceclasses.resource.k8s.io", "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io",
        "resourceslices.resource.k8s.io", "storageclasses.storage.k8s.io", "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
    }
)  # fmt: skip
_MAX_OBJECT_BYTES = 3 * 1024 * 1024


def author(request: Request) -> str:
    """Who the log says has made a change."""
    return decode_identity(request.identity).username


def put_of(stored: Resource, obj: Object, namespace: str) -> Put:
    """`obj` in the storage version, metadata complete."""
    json, hole, annotations = envelope.encode_object(obj)
    if len(json) > _MAX_OBJECT_BYTES:
        # A patch can make an object larger than any body may be.
        raise RequestEntityTooLarge(f"Request entity too large: limit is {_MAX_OBJECT_BYTES}")
    meta = obj["metadata"]
    return Put(
        stored.group_resource,
        namespace,
        meta["name"],
        json,
        hole,
        annotations,
        meta["uid"],
        stored.storage_version,
        meta.get("labels") or {},
        stored.strategy.selectable_fields(obj),
        stored.fingerprint,
        stored.retention,
    )


def removals_of(
    shard: Shard, cluster: LogicalCluster, stored: Resource, namespace: str, name: str, value: bytes
) -> Sequence[Remove]:
    """The deletion of what is stored as `value`, and of what goes with it."""
    remove = remove_of(stored, namespace, name, value)
    if stored.group_resource != "services" or stored.definition is not None:
        return (remove,)
    return (remove, *service_addresses.released(shard.store, cluster, value))


def remove_of(stored: Resource, namespace: str, name: str, value: bytes) -> Remove:
    """The deletion of what is stored as `value`; watchers see its last state."""
    return Remove(
        stored.group_resource, namespace, name, envelope.body_at(value, 0), envelope.hole(value), stored.retention
    )


def commit_object(
    shard: Shard,
    cluster: LogicalCluster,
    resource: Resource,
    put: Put,
    request: Request,
    code: int,
    warnings: Sequence[str],
    companions: Sequence[Put | Remove] = (),
) -> AfterSync:
    """`companions` are further writes of the same commit: what admission charges, what a namespace is born with."""
    cluster_limits.check_write(shard, cluster, request, put)
    shown = _converted(shard, resource, put)
    pending = shard.store.commit(cluster, (put, *companions), request.request_id, code, author(request))
    if shown is None:
        body = served_body(shard, resource, pending.values[0])
    else:
        shown["metadata"]["resourceVersion"] = str(pending.revision)
        body = orjson.dumps(shown)
    return AfterSync(object_answer(resource, request, code, body, warnings), pending.group)


def _converted(shard: Shard, resource: Resource, put: Put) -> Object | None:
    """What will be stored, in the version asked for, where that takes a webhook: it must be there before the commit."""
    if resource.definition is None or resource.storage_resource is None or not resource.definition.asks_webhook:
        return None
    return shard.catalog.convert(orjson.loads(put.json), resource)


def object_answer(resource: Resource, request: Request, code: int, body: bytes, warnings: Sequence[str] = ()) -> Answer:
    columns = resource.columns if request.want_columns else b""
    if resource.deprecation:
        warnings = [resource.deprecation, *warnings]
    return Answer(code, body, None, warnings, columns)


def dry_run_body(shard: Shard, target: Target, obj: Object, revision: str) -> bytes:
    """What a write would have answered: the object as it would be stored, with the resourceVersion it has now."""
    shown = shard.catalog.convert(obj, target.resource) if target.stored is not target.resource else dict(obj)
    meta = {key: value for key, value in shown["metadata"].items() if key != "resourceVersion"}
    shown["metadata"] = {**meta, "resourceVersion": revision} if revision else meta
    return orjson.dumps(shown)


def unchanged_answer(
    shard: Shard, target: Target, request: Request, value: bytes, warnings: Sequence[str] = ()
) -> Answer | AfterSync:
    """The answer to a write that changes nothing. What it shows may itself not be durable yet."""
    resource, stored = target.resource, target.stored
    answer = object_answer(resource, request, 200, served_body(shard, resource, value), warnings)
    assert target.cluster is not None
    try:
        shard.store.get(target.cluster, stored.group_resource, request.namespace, request.name)
    except NotDurable as pending:
        return AfterSync(answer, pending.group)
    return answer


def pending_value(shard: Shard, target: Target, request: Request) -> bytes | None:
    """The newest accepted envelope of the object that the request names."""
    cluster, stored = target.cluster, target.stored
    if cluster is None:
        return None
    return shard.store.pending(cluster, stored.group_resource, request.namespace, request.name)


def recorded_answer(shard: Shard, target: Target, request: Request) -> Answer | None:
    """The first answer of a repeated write, None if it never took effect. Raises NotDurable while it is pending."""
    if not request.repeat or target.cluster is None:
        return None
    found = shard.store.recorded(target.cluster, request.request_id, request.first_sent_us)
    if found is None:
        return None
    if found.code == REMOVED and target.stored.group_resource not in RETURNED:
        return Answer(200, removed_status(target.resource, request.name, envelope.uid(found.value)))
    code = 200 if found.code == REMOVED else found.code
    return object_answer(target.resource, request, code, served_body(shard, target.resource, found.value))


def success(code: int, warnings: Sequence[str] = ()) -> Answer:
    """Of a write that has no object to show."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    return Answer(code, orjson.dumps(status), None, warnings)


def removed_status(resource: Resource, name: str, uid: str) -> bytes:
    details: dict[str, Any] = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = uid
    return orjson.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
