"""Objects on the way a verb takes them through their kind's strategy, without store, metadata rules and admission."""

from copy import deepcopy
from typing import Any

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.fields import check_fields

RESOURCES = {(r.group, r.plural): r for r in builtin_resources("minimal")}


def resource(plural: str, group: str = "") -> Resource:
    return RESOURCES[group, plural]


def submitted(kind: Resource, members: dict[str, Any], name: str = "a") -> Object:
    document = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, **deepcopy(members)}
    if kind.namespaced:
        document["metadata"].setdefault("namespace", "default")
    assert check_fields(kind.schema, document) == []
    return document


def create(kind: Resource, name: str = "a", /, **members: Any) -> tuple[Object, list[str]]:
    """The object as it would be stored, and the fields at fault."""
    found = submitted(kind, members, name)
    kind.strategy.prepare_create(found)
    kind.strategy.default(found)
    return found, [fault.field for fault in kind.strategy.validate_create(found)]


def update(kind: Resource, old: Object, subresource: str = "", /, **members: Any) -> tuple[Object, list[str]]:
    """As `create`, of an update that replaces these members of `old`."""
    found = deepcopy(old) | deepcopy(members)
    assert check_fields(kind.schema, found) == []
    kind.strategy.prepare_update(found, old, subresource)
    kind.strategy.default(found)
    return found, [fault.field for fault in kind.strategy.validate_update(found, old, subresource)]
