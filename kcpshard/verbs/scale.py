"""The subresource `scale`: how many replicas there are and should be, in a form that is the same for every kind.

A Scale is read from an object and written into it at the paths of its kind, which a definition names and which are the
same for the workloads of Kubernetes. Writing it is `verbs.scale_writes`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.api.errors import BadRequest
from kcpshard.api.label_selectors import InvalidSelector, selector_text
from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.custom_fields import set_at, steps_of, value_at
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.subresource_forms import form_of

SCALE = "scale"
SCALE_VERSION = "autoscaling/v1"
_WORKLOAD = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def paths_of(resource: Resource) -> Mapping[str, str]:
    """Where the replicas of a kind that has the subresource are."""
    if resource.definition is None:
        return _WORKLOAD
    paths: Mapping[str, str] = resource.definition.schemas[resource.version].scale
    return paths


def lacks_replicas(resource: Resource, obj: Object) -> bool:
    """Whether a custom object does not say how many it wants: it has no Scale to read, but may be given one."""
    return resource.definition is not None and _replicas(resource, obj) is None


def _replicas(resource: Resource, obj: Object) -> Any:
    return value_at(obj, steps_of(paths_of(resource).get("specReplicasPath", "")))


def read(resource: Resource, obj: Object) -> Object:
    """The Scale of an object. Raises BadRequest if there is none to read; kube-apiserver says the same with 500."""
    if lacks_replicas(resource, obj):
        path = paths_of(resource)["specReplicasPath"]
        raise BadRequest(f'the spec replicas field "{path}" does not exist')
    return shown(resource, obj)


def shown(resource: Resource, obj: Object) -> Object:
    """The Scale of an object; without replicas in its spec if there are none or if it is not known how many."""
    paths, wanted = paths_of(resource), _replicas(resource, obj)
    status = {"replicas": value_at(obj, steps_of(paths.get("statusReplicasPath", ""))) or 0}
    if selector := _selector(resource, obj):
        status["selector"] = selector
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": SCALE_VERSION,
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def _selector(resource: Resource, obj: Object) -> str:
    if resource.definition is not None:
        found = value_at(obj, steps_of(paths_of(resource).get("labelSelectorPath") or "."))
        return found if isinstance(found, str) else ""
    selector = value_at(obj, ("spec", "selector"))
    if resource.group_resource == "replicationcontrollers":
        selector = {"matchLabels": selector or {}}
    try:
        return selector_text(selector)
    except InvalidSelector:
        return ""


def answered(resource: Resource, answer: Answer | AfterSync) -> Answer | AfterSync:
    """The answer to a write of the object as one to a write of its Scale."""
    if isinstance(answer, AfterSync):
        return answer._replace(answer=_scaled(resource, answer.answer))
    return _scaled(resource, answer)


def _scaled(resource: Resource, answer: Answer) -> Answer:
    return answer._replace(body=orjson.dumps(shown(resource, orjson.loads(answer.body))), columns=b"")


def written(resource: Resource, scale: Object, old: Object) -> Object:
    """A copy of the object `old` with the replicas of `scale`."""
    new: Object = orjson.loads(orjson.dumps(old))
    set_at(new, steps_of(paths_of(resource)["specReplicasPath"]), (scale.get("spec") or {}).get("replicas", 0))
    return new


def scale_resource() -> Resource:
    return form_of("autoscaling", "v1", "scales", "Scale")
