"""Nobody grants what they do not hold: checks on writes of roles and bindings, in kube-apiserver's words and order.

A role's rules must be covered by the writer's own, unless they may `escalate` it; a binding's role likewise, unless
they may `bind` it. Members of system:masters hold everything. Comes after what may change the object, before
validation.
"""

from collections.abc import Sequence

from kcpshard.api.errors import ApiError, BadRequest, object_not_found
from kcpshard.api.objects import Object
from kcpshard.api.requests import Request, decode_identity
from kcpshard.authorization.attributes import Attributes, forbidden_object, quoted
from kcpshard.authorization.layer import CLUSTER_ROLES, GROUP, ROLES, TYPES
from kcpshard.authorization.policy import Grants
from kcpshard.authorization.rules import EVERYTHING, Rule, compact, missing, read_rule, shown, shown_strings
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

_COLLECTED = ("ownerReferences", "finalizers", "managedFields", "selfLink")  # what garbage collection changes


def confirm(shard: Shard, target: Target, request: Request, new: Object, old: Object | None) -> None:
    """Raises Forbidden if the writer would grant more than they hold. Other kinds are nobody's business here."""
    kind = target.stored.group_resource
    if kind not in TYPES:
        return
    grants = shard.authorizer.grants(target.cluster, request.cluster, request.identity)
    if grants.is_master or (old is not None and _is_collected_only(new, old)):
        return
    check = _Check(shard, target, request, grants, new["metadata"].get("name", ""))
    if kind in (ROLES, CLUSTER_ROLES):
        check.role(new, old)
    else:
        check.binding(new)


def _is_collected_only(new: Object, old: Object) -> bool:
    return _without_collected(new) == _without_collected(old)


def _without_collected(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _COLLECTED}
    return {**obj, "metadata": meta}


class _Check:
    """Of one write by somebody who is not a master."""

    def __init__(self, shard: Shard, target: Target, request: Request, grants: Grants, name: str) -> None:
        self._shard, self._target, self._request, self._grants = shard, target, request, grants
        self._name = name

    def role(self, new: Object, old: Object | None) -> None:
        request = self._request
        resource = self._target.resource.plural
        if self._may("escalate", resource, request.namespace, request.name):
            return
        self._covered([read_rule(rule) for rule in new.get("rules") or ()])
        if _aggregates(new) or (old is not None and _aggregates(old)):
            held, _ = self._grants.rules(request.namespace)
            if missing(held, EVERYTHING):
                raise self._forbidden("must have cluster-admin privileges to use the aggregationRule")

    def binding(self, new: Object) -> None:
        reference = new.get("roleRef") or {}
        kind, name, namespace = reference.get("kind", ""), reference.get("name", ""), self._request.namespace
        resource = {"ClusterRole": "clusterroles", "Role": "roles"}.get(kind, "")
        if resource and self._may("bind", resource, namespace, name, reference.get("apiGroup", "")):
            return
        if not resource:
            raise BadRequest(f"unsupported role reference kind: {quoted(kind)}")
        home = namespace if kind == "Role" else ""
        rules = self._shard.authorizer.role(self._target.cluster, kind, home, name)
        if rules is None:
            raise object_not_found(GROUP, self._target.resource.plural, name)  # kube-apiserver names the binding's type
        self._covered(rules)

    def _may(self, verb: str, resource: str, namespace: str, name: str, group: str = GROUP) -> bool:
        return self._grants.decide(Attributes(verb, group, "*", resource, "", namespace, name)).allowed

    def _covered(self, rules: Sequence[Rule]) -> None:
        held, faults = self._grants.rules(self._request.namespace)
        left = missing(held, rules)
        if not left:
            return
        identity = decode_identity(self._request.identity)
        text = (
            f"user {quoted(identity.username)} (groups={shown_strings(identity.groups)}) is attempting to grant RBAC "
            "permissions not currently held:\n" + "\n".join(sorted({shown(rule) for rule in compact(left)}))
        )
        if faults:
            # kube-apiserver names the type that is written, whichever is missing.
            plural = self._target.resource.plural
            named = list(dict.fromkeys(f"{plural}.{fault.partition('.')[2]}" for fault in faults))
            listed = named[0] if len(named) == 1 else f"[{', '.join(named)}]"
            text += f"; resolution errors: [{listed}]"
        raise self._forbidden(text)

    def _forbidden(self, text: str) -> ApiError:
        return forbidden_object(GROUP, self._target.resource.plural, self._name, text)


def _aggregates(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))
