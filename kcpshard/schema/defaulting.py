"""Filling in the defaults that a structural schema declares. One pass, in place; idempotent.

A null where null is not allowed and a default exists gives way to the default (apiextensions `defaulting`).
"""

from copy import deepcopy
from typing import Any

from kcpshard.schema.structural import Structural


def has_defaults(schema: Structural | None) -> bool:
    """Whether `default` could change anything: compiled schemas without defaults skip the pass."""
    if schema is None:
        return False
    children = [*(schema.properties or {}).values(), schema.items, schema.values]
    return schema.has_default or any(child is not None and has_defaults(child) for child in children)


def default(value: Any, schema: Structural) -> None:
    if isinstance(value, dict):
        for name, child in (schema.properties or {}).items():
            present = value.get(name)
            if child.has_default and (name not in value or (present is None and not child.nullable)):
                value[name] = deepcopy(child.default)
        for name, item in value.items():
            sub = schema.child(name)
            if sub is not None:
                default(item, sub)
    elif isinstance(value, list) and schema.items is not None:
        for place, item in enumerate(value):
            if item is None and schema.items.has_default and not schema.items.nullable:
                value[place] = deepcopy(schema.items.default)
            default(value[place], schema.items)
