"""create of serviceaccounts/token: a signed token for an account, possibly bound to a Pod, Node or Secret.

Nothing is stored. The token says which incarnation of the logical cluster it is of; that account and bound object still
exist is asked anew with each use (`proofs`).
"""

from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.admission.audit_annotations import note
from kcpshard.api.errors import BadRequest, FieldError, invalid, object_conflict, object_invalid, object_not_found
from kcpshard.api.objects import Object, metadata, timestamp
from kcpshard.api.requests import Answer, Request
from kcpshard.credentials.service_account_tokens import MAX_EXPIRATION_S, Reference, Subject, token_id
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.create import check_namespace
from kcpshard.verbs.decoding import decode_object
from kcpshard.verbs.field_validation import check_options, checked_fields
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.subresource_forms import form_of
from kcpshard.verbs.target import Target, find_target

_GROUP, _KIND = "authentication.k8s.io", "TokenRequest"
_DEFAULT_S, _MIN_S, _MAX_S = 3_600, 600, 1 << 32
# What the projected volumes of old clients ask for: they may not read the file again, so that the token lives on and
# only warns. As kube-apiserver.
_EXTENDED_S = 3_607
_KEPT = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def create_token(shard: Shard, request: Request) -> Answer:
    """Raises ApiError, NotOwned, NotDurable."""
    target = find_target(shard, request, "create", pending=True)
    check_options(request, "CreateOptions")
    form = form_of(_GROUP, "v1", "tokenrequests", _KIND)
    sent = decode_object(request.body, form, shard.catalog, target.cluster)
    warnings = [*checked_fields(request, form, sent)]
    check_namespace(metadata(sent), request.namespace)
    sent["metadata"]["namespace"] = request.namespace
    sent["spec"] = _defaulted(sent.get("spec") or {})
    with Written(shard, target, request, sent, form) as written:
        return _issued(shard, target, request, sent, written, warnings)


def _issued(
    shard: Shard, target: Target, request: Request, sent: Object, written: Written, warnings: list[str]
) -> Answer:
    warnings += written.mutate()
    meta = metadata(sent)
    _check_place(meta, request)
    cluster, account = _account(shard, target, request)
    given = meta.get("uid")
    if given and given != account.uid:
        text = f"the UID in the token request ({given}) does not match the UID of the service account ({account.uid})"
        raise object_conflict(_GROUP, _KIND, request.name, text)
    spec = _defaulted(sent.get("spec") or {})
    spec["audiences"] = spec.get("audiences") or list(shard.issuer.audiences)
    _check_spec(spec)
    now_us = shard.now_us()
    shown_meta = _shown_metadata(meta, request, account, now_us)
    warnings += written.validate({**sent, "metadata": shown_meta, "spec": spec})
    subject, is_pod = _subject(shard, cluster, request, account, spec.get("boundObjectRef"))
    if spec["expirationSeconds"] > MAX_EXPIRATION_S:
        asked = spec["expirationSeconds"]
        warnings.append(f"requested expiration of {asked} seconds shortened to {MAX_EXPIRATION_S} seconds")
        spec["expirationSeconds"] = MAX_EXPIRATION_S
    expires, warn_after = spec["expirationSeconds"], 0
    if is_pod and expires == _EXTENDED_S and set(spec["audiences"]) <= set(shard.issuer.audiences):
        expires, warn_after = MAX_EXPIRATION_S, expires
    # Also for a dry run, as in Kubernetes: there is nothing that would be stored.
    now_s = now_us // 1_000_000
    token = shard.issuer.issue(cluster.id, subject, spec["audiences"], now_s, expires, warn_after)
    note({"authentication.kubernetes.io/issued-credential-id": f"JTI={token_id(token)}"})
    shown = timestamp(now_us + spec["expirationSeconds"] * 1_000_000)
    answer = {
        "kind": _KIND,
        "apiVersion": f"{_GROUP}/v1",
        "metadata": shown_meta,
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": shown},
    }
    return Answer(201, orjson.dumps(answer), None, warnings)


def _check_place(meta: Object, request: Request) -> None:
    if meta.get("namespace") != request.namespace:
        fault = invalid(
            "metadata.namespace", meta.get("namespace"), "must match the service account namespace if specified"
        )
        raise object_invalid(_GROUP, _KIND, request.name, [fault])
    name = meta.get("name")
    if name and name != request.name:
        fault = invalid("metadata.name", name, "must match the service account name if specified")
        raise object_invalid(_GROUP, _KIND, request.name, [fault])


def _account(shard: Shard, target: Target, request: Request) -> tuple[LogicalCluster, Reference]:
    cluster = target.cluster
    value = None
    if cluster is not None:
        value = shard.store.get(cluster, "serviceaccounts", request.namespace, request.name)
    if cluster is None or value is None:
        raise object_not_found("", "serviceaccounts", request.name)
    return cluster, Reference(request.name, envelope.uid(value))


def _defaulted(spec: Object) -> Object:
    found = dict(spec)
    if found.get("expirationSeconds") is None:
        found["expirationSeconds"] = _DEFAULT_S
    found.setdefault("boundObjectRef", None)
    return found


def _check_spec(spec: Object) -> None:
    seconds, path = spec["expirationSeconds"], "spec.expirationSeconds"
    faults: list[FieldError] = []
    if seconds < _MIN_S:
        faults.append(invalid(path, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _MAX_S:
        faults.append(invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
    if faults:
        raise object_invalid(_GROUP, _KIND, "", faults)


def _subject(
    shard: Shard, cluster: LogicalCluster, request: Request, account: Reference, bound: Mapping[str, Any] | None
) -> tuple[Subject, bool]:
    """Whom the token is for, and whether it is bound to a Pod."""
    if bound is None:
        return Subject(request.namespace, account), False
    group, _, version = (bound.get("apiVersion") or "").rpartition("/")
    kind, name = bound.get("kind") or "", bound.get("name") or ""
    places = {
        "Pod": ("pods", request.namespace),
        "Node": ("nodes", ""),
        "Secret": ("secrets", request.namespace),
    }
    if group or kind not in places:
        raise BadRequest(f"cannot bind token to object of type {_shown_type(group, version, kind)}")
    plural, namespace = places[kind]
    value = shard.store.get(cluster, plural, namespace, name)
    if value is None:
        raise object_not_found("", plural, name)
    found = {kind.lower(): Reference(name, envelope.uid(value))}
    if kind == "Pod":
        found |= _node_of(shard, cluster, request.name, orjson.loads(envelope.body(value)))
    _check_uid(bound.get("uid") or "", found[kind.lower()], kind)
    return Subject(request.namespace, account, found), kind == "Pod"


def _shown_type(group: str, version: str, kind: str) -> str:
    """As Go prints a GroupVersionKind."""
    return f"{group}/{version}, Kind={kind}"


def _node_of(shard: Shard, cluster: LogicalCluster, account: str, pod: Mapping[str, Any]) -> dict[str, Reference]:
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName") != account:
        text = f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        raise BadRequest(text)
    name = spec.get("nodeName")
    if not name:
        return {}
    value = shard.store.get(cluster, "nodes", "", name)
    return {"node": Reference(name, envelope.uid(value) if value is not None else "")}


def _check_uid(wanted: str, found: Reference, kind: str) -> None:
    if wanted and wanted != found.uid:
        text = (
            f"the UID in the bound object reference ({wanted}) does not match the UID in record. The object might "
            "have been deleted and then recreated"
        )
        raise object_conflict("", kind, found.name, text)


def _shown_metadata(meta: Object, request: Request, account: Reference, now_us: int) -> Object:
    kept = {member: meta[member] for member in _KEPT if meta.get(member)}
    kept |= {"name": account.name, "namespace": request.namespace, "uid": account.uid}
    kept["creationTimestamp"] = timestamp(now_us)
    return kept
