"""create of `pods/NAME/binding`, and of the older `bindings`: a pod gets its node, once.

Only the node, the binding's labels and annotations and the condition PodScheduled change; that is the scheduler's to
say, so neither the pod's validation nor its managers are asked (registry `BindingREST`). Admission is asked about the
Binding.
"""

from collections.abc import Sequence

import orjson

from kcpshard.api.errors import BadRequest, object_conflict, object_not_found
from kcpshard.api.objects import Object, is_terminating, metadata, timestamp
from kcpshard.api.requests import Answer, Request
from kcpshard.storage import envelope
from kcpshard.verbs.conditions import set_condition
from kcpshard.verbs.create import check_namespace
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.subresource_forms import form_of
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.update import MODIFIED, check_uid
from kcpshard.verbs.writes import author, put_of, success

_PODS = "pods"


def bind(shard: Shard, request: Request) -> Outcome:
    """`request` names a pod's binding, or the collection of bindings."""
    target = find_target(shard, request, "create", pending=True)
    check_options(request, "CreateOptions")
    pods = shard.catalog.find(target.cluster, "", "v1", _PODS)
    assert pods is not None
    binding_type = form_of("", "v1", "bindings", "Binding")
    binding = decode_object(request.body, binding_type, shard.catalog, target.cluster)
    warnings = [*checked_fields(request, binding_type, binding)]
    check_namespace(metadata(binding), request.namespace)
    binding["metadata"]["namespace"] = request.namespace
    named = binding["metadata"].get("name", "")
    with Written(shard, target, request, binding, binding_type, name=request.name or named) as written:
        warnings += written.mutate()
        name = request.name or metadata(binding).get("name", "")
        if not name:
            raise BadRequest("Name parameter required.")
        if metadata(binding).get("name", "") != name:
            raise BadRequest("name in URL does not match name in Binding object")
        _check_target(binding.get("target") or {})
        warnings += written.validate()
        return _assign(shard, Target(target.cluster, pods, pods), request, name, binding, warnings)


def _check_target(target: Object) -> None:
    faults = []
    if target.get("kind", "") not in ("", "Node"):
        faults.append(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"')
    if not target.get("name"):
        faults.append("target.name: Required value")
    if faults:
        # kube-apiserver does not say whose fault this is and answers 500.
        raise BadRequest(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")


def _assign(
    shard: Shard, target: Target, request: Request, name: str, binding: Object, warnings: Sequence[str]
) -> Answer | AfterSync:
    cluster, pods, _ = target
    value = None if cluster is None else shard.store.pending(cluster, _PODS, request.namespace, name)
    if value is None or cluster is None:
        raise object_not_found("", _PODS, name)
    meta = binding["metadata"]
    check_uid(meta, value, pods, request, name)
    if (version := meta.get("resourceVersion")) and version != str(envelope.revision(value)):
        raise object_conflict("", _PODS, name, MODIFIED)
    pod: Object = orjson.loads(envelope.body(value))
    if fault := _fault(pod, name):
        raise object_conflict("", "pods/binding", name, fault)
    node = binding["target"]["name"]
    pod["spec"]["nodeName"] = node
    pod.setdefault("status", {}).pop("nominatedNodeName", None)
    set_condition(pod["status"], {"type": "PodScheduled", "status": "True"}, timestamp(shard.now_us()))
    _merge(pod, "annotations", meta.get("annotations") or {})
    _merge(pod, "labels", meta.get("labels") or {})
    done = success(201, warnings)
    if request.dry_run:
        return done
    put = put_of(pods, pod, request.namespace)
    return AfterSync(done, shard.store.commit(cluster, (put,), request.request_id, 201, author(request)).group)


def _fault(pod: Object, name: str) -> str:
    if is_terminating(pod):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if node := pod["spec"].get("nodeName"):
        return f'pod {name} is already assigned to node "{node}"'
    return f"pod {name} has non-empty .spec.schedulingGates" if pod["spec"].get("schedulingGates") else ""


def _merge(pod: Object, member: str, added: Object) -> None:
    if added:
        pod["metadata"][member] = {**(pod["metadata"].get(member) or {}), **added}
