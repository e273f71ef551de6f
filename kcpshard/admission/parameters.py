"""The parameters of a policy: which objects a binding names for a write."""

from typing import Any

import orjson

from kcpshard.admission.policy_definitions import Policy
from kcpshard.admission.subject import Object, Subject
from kcpshard.definitions.checks import is_empty_selector, is_selected
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope

_MOST = 1024  # parameters of one binding that are looked at


class ConfigurationFault(Exception):
    """A policy or binding that cannot be used as it stands."""


def param_resource(subject: Subject, policy: Policy) -> Resource | None:
    """The type of the policy's parameters, None if it has none. Raises ConfigurationFault if there is no such type."""
    kind = policy.param_kind
    if kind is None:
        return None
    for resource in subject.registry.catalog.resources(subject.cluster):
        if resource.api_version == kind.get("apiVersion") and resource.kind == kind.get("kind"):
            # By its place: only that loads the schema of a custom type.
            return subject.registry.catalog.find(subject.cluster, resource.group, resource.version, resource.plural)
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    shown = f"{group}/{version}, Kind={kind.get('kind', '')}"
    raise ConfigurationFault(f"failed to find resource referenced by paramKind: '{shown}'")


def parameters(subject: Subject, resource: Resource | None, ref: Any) -> list[Object | None]:
    """One evaluation for each: [None] where there are no parameters. Raises ConfigurationFault."""
    if resource is None or ref is None:
        return [None]
    namespace = _namespace(subject, resource, ref)
    if ref.get("name"):
        found = _named(subject, resource, namespace, ref["name"])
    else:
        found = _selected(subject, resource, namespace, ref.get("selector") or {})
    if not found and ref.get("parameterNotFoundAction") == "Deny":
        raise ConfigurationFault("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(found)


def _namespace(subject: Subject, resource: Resource, ref: Any) -> str:
    given: str = ref.get("namespace") or ""
    if not resource.namespaced:
        if given:
            raise ConfigurationFault("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    found = given or subject.namespace
    if not found:
        raise ConfigurationFault(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
    return found


def _named(subject: Subject, resource: Resource, namespace: str, name: str) -> list[Object]:
    kept = (resource.storage_resource or resource).group_resource
    value = subject.attributes.store.pending(subject.cluster, kept, namespace, name)
    return [] if value is None else [_read(subject, resource, value)]


def _selected(subject: Subject, resource: Resource, namespace: str, selector: Object) -> list[Object]:
    kept = (resource.storage_resource or resource).group_resource
    values = subject.attributes.store.scan_pending(subject.cluster, kept, namespace, _MOST)
    takes_all = is_empty_selector(selector)
    return [
        _read(subject, resource, value)
        for value in values
        if takes_all or is_selected(selector, envelope.labels(value))
    ]


def _read(subject: Subject, resource: Resource, value: bytes) -> Object:
    obj: Object = orjson.loads(envelope.body(value))
    if obj.get("apiVersion") == resource.api_version and obj.get("kind") == resource.kind:
        return obj
    return subject.registry.catalog.convert(obj, resource)
