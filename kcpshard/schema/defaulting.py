"""Filling in the defaults that a structural schema declares. One pass, in place; idempotent.

A null where null is not allowed and a default exists gives way to the default (apiextensions `defaulting`).
"""

from copy import deepcopy
from typing import Any

from kcpshard.schema.structural import Structural


def has_defaults(schema: Structural | None) -> bool:
    """Whether `default` could change anything: compiled schemas without defaults skip the pass."""
    return schema is not None and (schema.has_default or schema.has_inner_defaults)


def default(value: Any, schema: Structural) -> None:
    if isinstance(value, dict):
        for name, child in schema.defaulted:
            if name not in value or (value[name] is None and not child.nullable):
                value[name] = deepcopy(child.default)
        _default_values(value, schema)  # before looking into them: a default is filled in like anything else
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                sub = schema.child(name)
                if sub is not None and sub.has_inner_defaults:
                    default(item, sub)
    elif isinstance(value, list) and schema.items is not None:
        for place, item in enumerate(value):
            if item is None and schema.items.has_default and not schema.items.nullable:
                value[place] = deepcopy(schema.items.default)
            default(value[place], schema.items)


def _default_values(value: dict[str, Any], schema: Structural) -> None:
    """Nulls among the values of a map."""
    values = schema.values
    if values is None or not values.has_default or values.nullable:
        return
    for name, item in value.items():
        if item is None:
            value[name] = deepcopy(values.default)
