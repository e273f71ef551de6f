"""The write that admission is asked about, seen as kube-apiserver shows it to expressions and webhooks.

What costs something (decoding a namespace, converting to another version) is found out when it is first asked for.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.admission.attributes import Attributes
from kcpshard.admission.operation_options import operation_options
from kcpshard.admission.registrations import Registry
from kcpshard.api.errors import Forbidden, object_not_found
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.cel.authorization import Authorizer, ResourceCheck
from kcpshard.definitions.contract import Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster

Object = dict[str, Any]
NAMESPACES = "namespaces"


class Subject:
    """One write. `namespace` is that of kube-apiserver's attributes: for a namespace its own name."""

    def __init__(self, attributes: Attributes, registry: Registry, cluster: LogicalCluster) -> None:
        self.attributes, self.registry, self.cluster = attributes, registry, cluster
        self.resource = attributes.resource
        self.is_namespace = self.resource.group_resource == NAMESPACES
        # Whoever asked for a generated name is not told it before the object is there.
        self.name = "" if attributes.is_generated else attributes.name
        self.namespace = self.name if self.is_namespace else attributes.namespace
        self.identity: Identity = decode_identity(attributes.identity)
        self._namespace: Object | None = None
        self._equivalents: list[Resource] | None = None
        decide = registry.decide(cluster)
        self.authorizer = Authorizer(self.identity, decide)
        self.request_check = ResourceCheck(
            self.authorizer, self.resource.group, self.resource.plural, attributes.subresource, self.namespace,
            self.name,
        )  # fmt: skip

    @property
    def equivalents(self) -> list[Resource]:
        if self._equivalents is None:
            self._equivalents = list(self.registry.equivalents(self.cluster, self.resource))
        return self._equivalents

    def labels(self) -> list[Mapping[str, str]]:
        """Of the object and of the old one, as far as there are such."""
        both = (self.attributes.object, self.attributes.old)
        return [(obj.get("metadata") or {}).get("labels") or {} for obj in both if obj is not None]

    def namespace_labels(self) -> Mapping[str, str]:
        """Raises NotFound if the namespace is not there."""
        attributes = self.attributes
        if self.resource.plural == NAMESPACES and not attributes.subresource and attributes.object is not None:
            return (attributes.object.get("metadata") or {}).get("labels") or {}
        value = attributes.store.pending(self.cluster, NAMESPACES, "", self.namespace)
        if value is None:
            raise object_not_found("", NAMESPACES, self.namespace)
        return envelope.labels(value)

    def namespace_object(self) -> Object | None:
        """None for a write without a namespace, and for one of a namespace itself. Raises NotFound."""
        if not self.namespace or self.is_namespace:
            return None
        if self._namespace is None:
            value = self.attributes.store.pending(self.cluster, NAMESPACES, "", self.namespace)
            if value is None:
                raise object_not_found("", NAMESPACES, self.namespace)
            self._namespace = _plain_namespace(orjson.loads(envelope.body(value)))
        return self._namespace

    def at(self, obj: Object | None, wanted: Resource) -> Object | None:
        """An object of the request in another version of its kind."""
        if obj is None or wanted is self.resource or not self._has_own_kind():
            return obj
        return self.registry.catalog.convert(obj, wanted)

    def _has_own_kind(self) -> bool:
        return kind_of(self.resource, self.attributes.subresource) == _own(self.resource)

    def form(self, resource: Resource) -> Resource | None:
        """The type that says how the written object looks; None where nothing does."""
        if self.attributes.is_other_form:
            return self.attributes.form
        return resource if self._has_own_kind() else None

    def replace(self, obj: Object) -> None:
        """Let the write's object be `obj`, which may be in another version of its kind. In place."""
        present = self.attributes.object
        assert present is not None
        new = obj
        if self._has_own_kind() and obj.get("apiVersion") != self.resource.api_version:
            new = self.registry.catalog.convert(obj, self.resource)
        if new is not present:
            present.clear()
            present.update(new)

    def refused(self, text: str) -> Forbidden:
        """Forbidden, naming the object as far as its name is known."""
        resource, name = self.resource, self.shown_name()
        shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        return Forbidden(
            f'{shown} "{name}" is forbidden: {text}', name=name, group=resource.group, kind=resource.plural
        )

    def shown_name(self) -> str:
        if self.name:
            return self.name
        meta = (self.attributes.object or {}).get("metadata") or {}
        return meta.get("name") or meta.get("generateName") or "Unknown"

    def request(self, matched: Resource) -> Object:
        """The AdmissionRequest without objects, as matched in that version of the resource."""
        attributes, resource, subresource = self.attributes, self.resource, self.attributes.subresource
        found: Object = {
            "kind": _kind(kind_of(matched, subresource)),
            "resource": {"group": matched.group, "version": matched.version, "resource": matched.plural},
            "requestKind": _kind(kind_of(resource, subresource)),
            "requestResource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
            "operation": attributes.operation,
            "userInfo": _user(self.identity),
            "dryRun": attributes.dry_run,
            "options": operation_options(attributes.request, attributes.operation),
        }
        if subresource:
            found["subResource"] = found["requestSubResource"] = subresource
        if self.name:
            found["name"] = self.name
        if self.namespace:
            found["namespace"] = self.namespace
        return found


def kind_of(resource: Resource, subresource: str) -> tuple[str, str, str]:
    """Group, version and kind of what is written through the subresource."""
    found = resource.subresources.get(subresource)
    if found is None or not found.kind or found.kind == resource.kind:
        return _own(resource)
    return found.group, found.version or resource.version, found.kind


def _own(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.kind


def _kind(found: tuple[str, str, str]) -> Object:
    return {"group": found[0], "version": found[1], "kind": found[2]}


def _user(identity: Identity) -> Object:
    found: Object = {"username": identity.username}
    if identity.uid:
        found["uid"] = identity.uid
    if identity.groups:
        found["groups"] = list(identity.groups)
    if identity.extra:
        found["extra"] = {key: list(values) for key, values in identity.extra.items()}
    return found


_SHOWN = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers",
)  # fmt: skip


def _plain_namespace(obj: Object) -> Object:
    """A namespace without what expressions do not see of it."""
    meta = {name: value for name, value in obj["metadata"].items() if name in _SHOWN}
    return {"metadata": meta, "spec": obj.get("spec") or {}, "status": obj.get("status") or {}}
