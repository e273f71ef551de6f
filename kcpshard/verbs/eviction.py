"""create of `pods/NAME/eviction`: a deletion that asks the pod's disruption budget first.

Budget, pod and deletion are decided and committed in one loop turn, so nothing can come between them: where
kube-apiserver retries on conflicts, here the first try is the last. The budget's status is kept by the disruption
controller (of a kube-controller-manager); here one disruption is taken from it (registry `EvictionREST`).
"""

from collections.abc import Sequence

import orjson

from kcpshard.api.errors import ApiError, BadRequest, Cause, Forbidden, TooManyRequests, object_not_found
from kcpshard.api.label_selectors import InvalidSelector, selector_of
from kcpshard.api.objects import Object, is_terminating, metadata, timestamp
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.verbs import field_managers
from kcpshard.verbs.conditions import set_condition
from kcpshard.verbs.create import check_namespace
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.delete import check_preconditions, delete_object, read_options
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.finalization import DeleteOptions
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.subresource_forms import form_of
from kcpshard.verbs.target import Target, find_target
from kcpshard.verbs.writes import author, pending_value, put_of, recorded_answer, success

_BUDGETS = "poddisruptionbudgets.policy"
_MOST_BUDGETS = 10_000  # looked at, of one namespace
_MOST_DISRUPTED = 2000  # pods whose eviction the disruption controller has not seen confirmed
_RETRY_S = 10
_EVICTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


def evict(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, "create", pending=True)
    if recorded_answer(shard, target, request):
        return success(201)
    check_options(request, "CreateOptions")
    eviction, warnings = _read(shard, target, request)
    with Written(shard, target, request, eviction, _eviction_form("v1")) as written:
        return _evicted(shard, target, request, eviction, written, warnings)


def _evicted(
    shard: Shard, target: Target, request: Request, eviction: Object, written: Written, warnings: list[str]
) -> Answer | AfterSync:
    warnings += written.mutate()
    if metadata(eviction).get("name", "") != request.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    given = eviction.get("deleteOptions") or {}
    options = read_options({k: v for k, v in given.items() if k not in ("apiVersion", "kind")}, request)
    warnings += written.validate()
    value = pending_value(shard, target, request)
    if value is None:
        raise object_not_found("", "pods", request.name)
    pod: Object = orjson.loads(envelope.body(value))
    budget = None if _may_ignore_budgets(pod) else _disrupted(shard, target, pod)
    check_preconditions(target.resource, request.name, value, options)
    if not options.dry_run:
        if budget is not None:
            _keep_budget(shard, target, request, budget)
        value = _mark(shard, target, request, pod)
    return _delete(shard, target, request, value, options, warnings)


def _read(shard: Shard, target: Target, request: Request) -> tuple[Object, list[str]]:
    form = _eviction_form("v1beta1" if b"policy/v1beta1" in request.body else "v1")
    eviction = decode_object(request.body, form, shard.catalog, target.cluster)
    warnings = checked_fields(request, form, eviction)
    check_namespace(metadata(eviction), request.namespace)
    eviction["metadata"]["namespace"] = request.namespace
    return {**eviction, "apiVersion": "policy/v1"}, [*warnings]


def _eviction_form(version: str) -> Resource:
    """Both versions have the same fields."""
    return form_of("policy", version, "evictions", "Eviction", "v1")


def _may_ignore_budgets(pod: Object) -> bool:
    """Not running, or going already: its deletion disrupts nobody."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Pending", "Succeeded") or is_terminating(pod)


def _disrupted(shard: Shard, target: Target, pod: Object) -> Object | None:
    """The pod's budget with one disruption taken from it; None if there is nothing to take. Raises what refuses."""
    budgets = _budgets_of(shard, target, pod)
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(text)
    if not budgets:
        return None
    budget = budgets[0]
    return None if not _is_ready(pod) and _takes_unready(budget) else _taken(budget, pod, timestamp(shard.now_us()))


def _budgets_of(shard: Shard, target: Target, pod: Object) -> list[Object]:
    assert target.cluster is not None
    meta, found = pod["metadata"], []
    for value in shard.store.scan_pending(target.cluster, _BUDGETS, meta["namespace"], _MOST_BUDGETS):
        budget: Object = orjson.loads(envelope.body(value))
        try:
            selector = selector_of((budget.get("spec") or {}).get("selector"))
        except InvalidSelector:
            continue
        if selector is not None and selector.matches(meta.get("labels") or {}):
            found.append(budget)
    return found


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _takes_unready(budget: Object) -> bool:
    """Whether a pod that is not ready may go without counting."""
    status = budget.get("status") or {}
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def _taken(budget: Object, pod: Object, now: str) -> Object:
    meta, status = budget["metadata"], dict(budget.get("status") or {})
    name, allowed = meta["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", _RETRY_S)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _MOST_DISRUPTED:
        text = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _forbidden(name, text)
    if allowed == 0:
        raise _refused(_why_none(name, status), 0)
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        status["conditions"] = _conditions(status, meta.get("generation", 0), now)
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: now}
    return {**budget, "status": status}


def _why_none(name: str, status: Object) -> str:
    conditions = [c for c in status.get("conditions") or () if c.get("type") == "DisruptionAllowed"]
    told = conditions[0] if conditions and conditions[0].get("status") == "False" else {}
    reason, message = told.get("reason", ""), told.get("message", "")
    wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    if message and reason == "SyncFailed":
        return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
    if healthy <= wanted:
        return f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
    if message:
        return f"The disruption budget {name} does not allow evicting pods currently ({reason}): {message}"
    return f"The disruption budget {name} does not allow evicting pods currently"


def _conditions(status: Object, generation: int, now: str) -> list[Object]:
    """With DisruptionAllowed false: no disruption is left."""
    new = {"type": "DisruptionAllowed", "status": "False", "observedGeneration": generation}
    found = list(status.get("conditions") or ())
    place = next((n for n, c in enumerate(found) if c.get("type") == "DisruptionAllowed"), len(found))
    same = place < len(found) and found[place].get("status") == "False"
    new["lastTransitionTime"] = found[place].get("lastTransitionTime", now) if same else now
    found[place : place + 1] = [{**new, "reason": "InsufficientPods", "message": ""}]
    return found


def _refused(text: str, retry_s: int) -> TooManyRequests:
    cause = Cause("DisruptionBudget", text)
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return TooManyRequests(message, causes=(cause,), retry_after_s=retry_s)


def _forbidden(name: str, text: str) -> Forbidden:
    shown = f'poddisruptionbudget.policy "{name}" is forbidden: {text}'
    return Forbidden(shown, name=name, group="policy", kind="poddisruptionbudget")


def _keep_budget(shard: Shard, target: Target, request: Request, budget: Object) -> None:
    """Store what is left of it, as written by the server itself."""
    meta = budget["metadata"]
    resource = shard.catalog.find(target.cluster, "policy", "v1", "poddisruptionbudgets")
    assert target.cluster is not None and resource is not None
    value = shard.store.pending(target.cluster, _BUDGETS, meta["namespace"], meta["name"])
    assert value is not None
    old: Object = orjson.loads(envelope.body(value))
    new = {**budget, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}
    as_server = pb.Request(subresource="status", user_agent="kube-apiserver")
    own = Target(target.cluster, resource, resource)
    field_managers.set_entries(new, old, field_managers.after_update(shard, own, as_server, new, old, None))
    shard.store.commit(target.cluster, (put_of(resource, new, meta["namespace"]),), author=author(request))


def _mark(shard: Shard, target: Target, request: Request, pod: Object) -> bytes:
    """Note on the pod why it goes; what it is stored as then."""
    assert target.cluster is not None
    set_condition(pod.setdefault("status", {}), _EVICTED, timestamp(shard.now_us()))
    put = put_of(target.resource, pod, pod["metadata"]["namespace"])
    return shard.store.commit(target.cluster, (put,), author=author(request)).values[0]


def _delete(
    shard: Shard, target: Target, request: Request, value: bytes, options: DeleteOptions, warnings: Sequence[str]
) -> Answer | AfterSync:
    """The preconditions were checked before the pod was marked."""
    bare = options._replace(uid=None, resource_version=None)
    done = delete_object(shard, target, request, request.namespace, request.name, value, bare)
    answer = success(201, warnings)
    return done._replace(answer=answer) if isinstance(done, AfterSync) else answer
