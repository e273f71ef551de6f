"""Nobody lets a policy read for them what they may not read: the parameters of admission policies.

A policy says of which kind its parameters are, a binding which objects. Whoever writes one must be allowed to read
them, or, where it cannot be found out what they are, everything. Members of system:masters may. Comes with the
object's validation, and is told as a fault in it.
"""

from typing import NamedTuple

import orjson

from kcpshard.admission.attributes import Attributes
from kcpshard.api.errors import forbidden, object_invalid
from kcpshard.api.objects import Object
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization import attributes as rights
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage import envelope
from kcpshard.verbs.shard import Shard

_GROUP = "admissionregistration.k8s.io"
_POLICIES = {f"{word}admissionpolicies.{_GROUP}" for word in ("validating", "mutating")}
_BINDINGS = {
    f"{word}admissionpolicybindings.{_GROUP}": f"{word}admissionpolicies.{_GROUP}"
    for word in ("validating", "mutating")
}


class _Wanted(NamedTuple):
    """What of the API the parameters are; "*" is all of it. `missing` is why it is not known better."""

    group: str = "*"
    version: str = "*"
    resource: str = "*"
    missing: str = ""


def check_parameters(shard: Shard, path: str, write: Attributes) -> None:
    """Of a create or an update; `path` is the logical cluster's. Raises Invalid."""
    kind, obj = write.resource.group_resource, write.object
    if obj is None or write.subresource or (kind not in _POLICIES and kind not in _BINDINGS):
        return
    identity = decode_identity(write.identity)
    if MASTERS in identity.groups and not identity.scope:
        return
    spec = obj.get("spec") or {}
    found = (
        _policy(shard, path, write, spec, identity)
        if kind in _POLICIES
        else _binding(shard, path, write, spec, identity)
    )
    if found:
        member = "paramKind" if kind in _POLICIES else "paramRef"
        fault = forbidden(f"spec.{member}", found)
        raise object_invalid(_GROUP, write.resource.kind, write.name, [fault])


def _policy(shard: Shard, path: str, write: Attributes, spec: Object, identity: Identity) -> str:
    kind = spec.get("paramKind")
    if kind is None or (write.old is not None and (write.old.get("spec") or {}).get("paramKind") == kind):
        return ""
    wanted = _resolved(shard, write, kind)
    right = rights.Attributes("get", wanted.group, wanted.version, wanted.resource, namespace="*", name="*")
    if shard.authorizer.decide(write.cluster, path, write.identity, right).allowed:
        return ""
    shown = f"(kind={kind.get('kind', '')}, apiVersion={kind.get('apiVersion', '')})"
    return f'user {_shown(identity)} must have "get" permission on all objects of the referenced paramKind {shown}'


def _binding(shard: Shard, path: str, write: Attributes, spec: Object, identity: Identity) -> str:
    reference = spec.get("paramRef")
    if reference is None:
        return ""
    wanted, name = _of_policy(shard, write, spec.get("policyName", "")), reference.get("name") or ""
    verb, namespace = "get" if name else "list", reference.get("namespace") or ""
    right = rights.Attributes(verb, wanted.group, wanted.version, wanted.resource, namespace=namespace, name=name)
    if shard.authorizer.decide(write.cluster, path, write.identity, right).allowed:
        return ""
    user = _shown(identity)
    if not wanted.missing:
        return f'user {user} does not have "{verb}" permission on the object referenced by paramRef'
    return (
        f'unable to {wanted.missing} to determine minimum required permissions and user {user} does not have "{verb}" '
        "permission for all groups, versions and resources"
    )


def _of_policy(shard: Shard, write: Attributes, name: str) -> _Wanted:
    value = None
    if write.cluster is not None:
        value = shard.store.pending(write.cluster, _BINDINGS[write.resource.group_resource], "", name)
    if value is None:
        return _Wanted(missing=f"get policy {name}")
    kind = (orjson.loads(envelope.body(value)).get("spec") or {}).get("paramKind")
    return _Wanted() if kind is None else _resolved(shard, write, kind)


def _resolved(shard: Shard, write: Attributes, kind: Object) -> _Wanted:
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    shown = f"paramKind &{{{api_version} {name}}}"
    group, mark, version = api_version.rpartition("/")
    if "/" in group or (mark and not version):
        return _Wanted(missing=f"parse {shown}")
    for resource in shard.catalog.resources(write.cluster):
        if resource.api_version == api_version and resource.kind == name:
            return _Wanted(group, version, resource.plural)
    return _Wanted(group, version, missing=f"resolve {shown}")


def _shown(identity: Identity) -> str:
    """As Go prints a user."""
    extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in sorted(identity.extra.items()))
    return f"&{{{identity.username} {identity.uid} [{' '.join(identity.groups)}] map[{extra}]}}"
