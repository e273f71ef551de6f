"""Reviews: questions posed by create; nothing is stored.

Access reviews are answered by the authoriser, about whoever is asked about, as kube-apiserver answers them. What a
token is worth the front has found out; it comes along as `token_review`.
"""

from collections.abc import Callable, Sequence

import orjson

from kcpshard.api.errors import BadRequest, FieldError, Invalid, Unauthorized, invalid, object_invalid
from kcpshard.api.objects import Object, drop_empty, timestamp
from kcpshard.api.requests import Answer, Identity, Request, decode_identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.policy import Decision
from kcpshard.authorization.rules import Rule
from kcpshard.verbs.proofs import prove
from kcpshard.verbs.review_selectors import narrowed, selector_faults
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.target import Target

_ATTRIBUTES = ("resourceAttributes", "nonResourceAttributes")


def review(shard: Shard, target: Target, request: Request, obj: Object, warnings: Sequence[str]) -> Answer:
    """`obj` is decoded, without unknown fields, and has metadata."""
    resource = target.resource
    drop_empty(obj["metadata"])
    for member in ("managedFields", "selfLink"):
        obj["metadata"].pop(member, None)
    if resource.namespaced:
        obj["metadata"]["namespace"] = request.namespace
    with Written(shard, target, request, obj, resource) as written:
        warnings = [*warnings, *written.mutate()]
        asked = orjson.loads(orjson.dumps(obj))
        _REVIEWS[resource.kind](shard, request, obj)  # changes nothing: may come before others refuse
        warnings += written.validate(asked)
    return Answer(201, orjson.dumps(obj), None, warnings)


def _self_subject_access(shard: Shard, request: Request, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _refuse(_metadata_faults(obj["metadata"]) + _attribute_faults(spec))
    cluster = shard.store.pending_cluster(request.cluster)
    found = shard.authorizer.decide(cluster, request.cluster, request.identity, _wanted(spec))
    obj["status"] = _status(found, spec)


def _subject_access(shard: Shard, request: Request, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _refuse(_metadata_faults(obj["metadata"]) + _attribute_faults(spec) + _subject_faults(spec))
    obj["status"] = _about(shard, request, spec)


def _local_subject_access(shard: Shard, request: Request, obj: Object) -> None:
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    meta["namespace"] = request.namespace
    faults = _metadata_faults({key: value for key, value in meta.items() if key != "namespace"})
    faults += _attribute_faults(spec) + _subject_faults(spec)
    attributes = spec.get("resourceAttributes")
    if attributes is not None and attributes.get("namespace", "") != request.namespace:
        text = "must match metadata.namespace"
        faults.append(invalid("spec.resourceAttributes.namespace", attributes.get("namespace", ""), text))
    if spec.get("nonResourceAttributes") is not None:
        shown = _non_resource(spec["nonResourceAttributes"])
        faults.append(invalid("spec.nonResourceAttributes", shown, "disallowed on this kind of request"))
    _refuse(faults)
    obj["status"] = _about(shard, request, spec)


def _about(shard: Shard, request: Request, spec: Object) -> Object:
    cluster = shard.store.pending_cluster(request.cluster)
    extra = {key.lower(): tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    groups = tuple(spec.get("groups") or ())
    identity = Identity(spec.get("user") or "", spec.get("uid") or "", groups, extra)
    return _status(shard.authorizer.decide_about(cluster, identity, _wanted(spec)), spec)


def _wanted(spec: Object) -> Attributes:
    given = spec.get("resourceAttributes")
    if given is None:
        path = spec["nonResourceAttributes"]
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    members = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    selected = narrowed(given)
    attributes = Attributes(*(given.get(member, "") for member in members))
    return attributes._replace(version=attributes.version or "*", fields=selected.fields, labels=selected.labels)


def _status(decision: Decision, spec: Object) -> Object:
    status: Object = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    if error := narrowed(spec.get("resourceAttributes") or {}).error:
        status["evaluationError"] = error
    return status


def _self_subject_rules(shard: Shard, request: Request, obj: Object) -> None:
    namespace = (obj.get("spec") or {}).get("namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    cluster = shard.store.pending_cluster(request.cluster)
    rules, faults, is_incomplete = shard.authorizer.rules(cluster, request.cluster, request.identity, namespace)
    obj["spec"] = {}
    obj["status"] = {
        "resourceRules": [_resource_rule(rule) for rule in rules if rule.resources],
        "nonResourceRules": [{"verbs": rule.verbs, "nonResourceURLs": rule.urls} for rule in rules if rule.urls],
        "incomplete": is_incomplete,
    }
    if faults:
        obj["status"]["evaluationError"] = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"


def _resource_rule(rule: Rule) -> Object:
    shown: Object = {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources}
    if rule.names:
        shown["resourceNames"] = rule.names
    return shown


def _self_subject(shard: Shard, request: Request, obj: Object) -> None:
    obj.pop("spec", None)
    obj["metadata"] = {"creationTimestamp": timestamp(shard.now_us())}
    obj["status"] = {"userInfo": _user(decode_identity(request.identity))}


def _token(shard: Shard, request: Request, obj: Object) -> None:
    if not (obj.get("spec") or {}).get("token"):
        raise BadRequest("token is required for TokenReview in authentication")
    obj["status"] = _verdict(shard, request)


def _verdict(shard: Shard, request: Request) -> Object:
    """The front's, if what it depends on is still there."""
    if not request.token_review:
        return {"user": {}, "error": "invalid bearer token"}
    status: Object = orjson.loads(request.token_review)
    proof = status.pop("proof", None)
    if proof is not None:
        try:
            identity = prove(shard, request.cluster, proof.encode())
        except Unauthorized:
            return {"user": {}, "error": "[invalid bearer token, service account token has been invalidated]"}
        if identity:
            status["user"] = _user(decode_identity(identity))
    return status


def _user(identity: Identity) -> Object:
    user: Object = {"username": identity.username, "uid": identity.uid, "groups": list(identity.groups)}
    user["extra"] = dict(identity.extra)
    drop_empty(user)
    return user


def _refuse(faults: list[FieldError]) -> None:
    if faults:
        raise _invalid(faults)


def _invalid(faults: list[FieldError]) -> Invalid:
    # kube-apiserver forgets the kind here.
    return object_invalid("authorization.k8s.io", "", "", faults)


def _metadata_faults(meta: Object) -> list[FieldError]:
    given = {key: value for key, value in meta.items() if key != "managedFields"}
    return [invalid("metadata", given, "must be empty")] if given else []


def _attribute_faults(spec: Object) -> list[FieldError]:
    given = [name for name in _ATTRIBUTES if spec.get(name) is not None]
    if len(given) == 2:
        text = "cannot be specified in combination with resourceAttributes"
        return [invalid("spec.nonResourceAttributes", _non_resource(spec["nonResourceAttributes"]), text)]
    if not given:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid("spec.resourceAttributes", None, text)]
    return selector_faults(spec.get("resourceAttributes") or {})


def _subject_faults(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [invalid("spec.user", "", "at least one of user or group must be specified")]


def _non_resource(attributes: Object) -> Object:
    """As the internal type, which is what the fault shows, has it."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}


_REVIEWS: dict[str, Callable[[Shard, Request, Object], None]] = {
    "SelfSubjectAccessReview": _self_subject_access,
    "SubjectAccessReview": _subject_access,
    "LocalSubjectAccessReview": _local_subject_access,
    "SelfSubjectRulesReview": _self_subject_rules,
    "SelfSubjectReview": _self_subject,
    "TokenReview": _token,
}
