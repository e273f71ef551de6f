"""managedFields of an object and of its Scale: who set the replicas, seen from either side. Pure.

A Scale has the entries of those who own its object's replicas, under the name of the Scale's field; after a write they
go back, and whoever lost the field to another loses it in the object (apimachinery `ScaleHandler`).
"""

from collections.abc import Callable

from kcpshard.api.field_sets import FieldSet, difference, intersection
from kcpshard.api.objects import Object
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.custom_fields import steps_of
from kcpshard.verbs import managed_fields
from kcpshard.verbs.managed_fields import UPDATE, Managed, Managers
from kcpshard.verbs.scale import SCALE_VERSION

IN_SCALE: FieldSet = {"f:spec": {"f:replicas": {}}}
# The field in an object of that apiVersion; {} if the version has no scale.
ReplicasAt = Callable[[str], FieldSet]


def replicas_of(resource: Resource) -> ReplicasAt:
    if resource.definition is None:
        return lambda _: IN_SCALE
    schemas = resource.definition.schemas

    def at(api_version: str) -> FieldSet:
        schema = schemas.get(api_version.rpartition("/")[2])
        if schema is None or not schema.scale:
            return {}
        found: FieldSet = {}
        for step in reversed(steps_of(schema.scale["specReplicasPath"])):
            found = {f"f:{step}": found}
        return found

    return at


def to_scale(managers: Managers, replicas_at: ReplicasAt) -> Managers:
    """Of the object's managers those that own the replicas, as managers of its Scale."""
    found: Managers = {}
    for key, managed in managers.items():
        path = replicas_at(managed.api_version)
        if path and intersection(managed.fields, path):
            own = key._replace(api_version=SCALE_VERSION if key.operation == UPDATE else "")
            found[own] = Managed(IN_SCALE, managed.time, SCALE_VERSION)
    return found


def to_object(managers: Managers, scaled: Managers, replicas_at: ReplicasAt, api_version: str) -> list[Object]:
    """The object's entries after `scaled` are those of its Scale; its own version is `api_version`."""
    scaled, entries = dict(scaled), list[Managers]()
    for key, managed in managers.items():
        path = replicas_at(managed.api_version)
        if not path or not intersection(managed.fields, path) or scaled.pop(key, None) is not None:
            entries.append({key: managed})
        elif left := difference(managed.fields, path):
            entries.append({key: managed._replace(fields=left)})
    for key, managed in scaled.items():
        if intersection(managed.fields, IN_SCALE):
            # Without a time, unless the object knew this very manager before.
            known = managers.get(key)
            found = Managed(replicas_at(api_version), known.time if known else "", api_version)
            entries.append({key._replace(api_version=api_version if key.operation == UPDATE else ""): found})
    return managed_fields.encode_all(entries)
