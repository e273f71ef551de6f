"""The subresource `scale`: how many replicas there are and should be, in a form that is the same for every kind.

A Scale is read from an object and written into it at the paths that its definition names; everything else about a write
is an update's. Server-side apply to a Scale is refused.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import orjson

from kcpshard.api.errors import BadRequest, InternalError, UnsupportedMediaType, object_conflict
from kcpshard.api.objects import Object, metadata
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.custom_fields import set_at, steps_of, value_at
from kcpshard.storage import envelope
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import checked_fields
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

SCALE = "scale"
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def paths_of(resource: Resource) -> Mapping[str, str] | None:
    """Where the replicas of a kind are; None if this module does not serve its scale."""
    if resource.definition is None:
        return None
    scale: Mapping[str, str] | None = resource.definition.schemas[resource.version].scale
    return scale


def shown(resource: Resource, obj: Object) -> Object:
    """The Scale of an object. Raises InternalError, as kube-apiserver does, if it does not say how many it wants."""
    paths = paths_of(resource) or {}
    path = paths.get("specReplicasPath", "")
    wanted = value_at(obj, steps_of(path))
    if wanted is None:
        raise InternalError(f'Internal error occurred: the spec replicas field "{path}" does not exist')
    selector = value_at(obj, steps_of(paths.get("labelSelectorPath") or "."))
    status = {"replicas": value_at(obj, steps_of(paths.get("statusReplicasPath", ""))) or 0}
    if isinstance(selector, str) and selector:
        status["selector"] = selector
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def answered(resource: Resource, answer: Answer | AfterSync) -> Answer | AfterSync:
    """The answer to a write of the object as one to a write of its Scale."""
    if isinstance(answer, AfterSync):
        return answer._replace(answer=_scaled(resource, answer.answer))
    return _scaled(resource, answer)


def _scaled(resource: Resource, answer: Answer) -> Answer:
    return answer._replace(body=orjson.dumps(shown(resource, orjson.loads(answer.body))), columns=b"")


def sent(shard: Shard, target: Target, request: Request) -> tuple[Object, Sequence[str]]:
    """The Scale in the body of an update, and warnings."""
    scale = decode_object(request.body, _scale_resource(), shard.catalog, target.cluster)
    return scale, checked_fields(request, _scale_resource(), scale)


def checked(scale: Object, request: Request) -> tuple[Object, Sequence[str]]:
    """A patched Scale in its kind's form, and warnings."""
    return scale, checked_fields(request, _scale_resource(), scale)


def written(target: Target, request: Request, scale: Object, old: Object, value: bytes) -> Object:
    """The object `old`, stored as `value`, with the replicas of `scale`. Raises what speaks against that."""
    resource, meta = target.resource, metadata(scale)
    _check_identity(resource, request, meta, value)
    new: Object = orjson.loads(orjson.dumps(old))
    paths = paths_of(resource)
    assert paths is not None
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    set_at(new, steps_of(paths["specReplicasPath"]), replicas)
    return new


def _check_identity(resource: Resource, request: Request, meta: Object, value: bytes) -> None:
    name = meta.get("name")
    if not name:
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if name != request.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    if meta.get("namespace") not in (None, "", request.namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    version = meta.get("resourceVersion")
    if version and version != str(envelope.revision(value)):
        raise object_conflict(resource.group, resource.plural, request.name, _MODIFIED)
    uid = meta.get("uid")
    if uid and uid != envelope.uid(value):
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {envelope.uid(value)}"
        raise object_conflict(resource.group, resource.plural, request.name, detail)


@cache
def _scale_resource() -> Resource:
    """As much of the type as reading a body needs."""
    found = Resource()
    found.group, found.version, found.plural, found.kind = "autoscaling", "v1", "scales", "Scale"
    found.api_version, found.group_resource = "autoscaling/v1", "scales.autoscaling"
    found.definition, found.fingerprint = None, 0
    found.schema = facts.schema_of("autoscaling", "v1", "Scale")
    return found


def schema() -> facts.Schema | None:
    """For strategic merge patches."""
    found: facts.Schema | None = _scale_resource().schema
    return found


def apply_refused() -> UnsupportedMediaType:
    return UnsupportedMediaType("server-side apply to a Scale is not served; apply the object itself")
