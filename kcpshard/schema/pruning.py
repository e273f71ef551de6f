"""Dropping what a structural schema does not know, and nulls that it does not allow. One pass, in place; idempotent.

A null goes unnoticed, as if it had not been sent; where there is a default, defaulting replaces it.
"""

from typing import Any

from kcpshard.schema.structural import Structural

_ROOT = ("apiVersion", "kind", "metadata")


def prune(obj: dict[str, Any], schema: Structural) -> list[str]:
    """Remove unknown fields of a whole object (its metadata is not the schema's business); their paths, in order."""
    dropped: list[str] = []
    _prune_object(obj, schema, "", dropped, is_root=True)
    return dropped


def prune_value(value: Any, schema: Structural) -> list[str]:
    """The same for any value within an object."""
    dropped: list[str] = []
    _prune(value, schema, "", dropped)
    return dropped


def _prune(value: Any, schema: Structural, path: str, dropped: list[str]) -> None:
    if isinstance(value, dict):
        _prune_object(value, schema, path, dropped, is_root=schema.embedded)
    elif isinstance(value, list) and schema.items is not None:
        for place, item in enumerate(value):
            _prune(item, schema.items, f"{path}[{place}]", dropped)


def _prune_object(value: dict[str, Any], schema: Structural, path: str, dropped: list[str], is_root: bool) -> None:
    for name in list(value):
        if is_root and name in _ROOT:
            continue
        child = schema.child(name)
        here = f"{path}.{name}" if path else name
        if child is not None:
            if value[name] is None:
                if not child.nullable and not child.has_default:
                    del value[name]
                continue
            _prune(value[name], child, here, dropped)
        elif not schema.preserve_unknown:
            dropped.append(here)
            del value[name]
