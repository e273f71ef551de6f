"""Objects inside custom resources (x-kubernetes-embedded-resource): read as Go reads an object's type and metadata.

Wrong types are refused, metadata takes the form that ObjectMeta has. Changes objects in place.
"""

from typing import Any

import orjson

from kcpshard.definitions.fields import WrongType, check_fields, object_meta
from kcpshard.schema.structural import Structural


def read_embedded(value: Any, schema: Structural, path: str = "") -> list[str]:
    """The paths of unknown fields in the metadata of every object inside `value`. Raises WrongType."""
    unknown: list[str] = []
    if isinstance(value, dict):
        if schema.embedded:
            unknown += _read_identity(value, path)
        for name, item in value.items():
            child = schema.child(name) if type(item) in (dict, list) else None
            if child is not None:
                unknown += read_embedded(item, child, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and schema.items is not None:
        for place, item in enumerate(value):
            unknown += read_embedded(item, schema.items, f"{path}[{place}]")
    return unknown


def _read_identity(value: dict[str, Any], path: str) -> list[str]:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            raise WrongType(f"{path}.{name}: Invalid value: {_shown(value[name])}: must be a string", "")
    if "metadata" not in value:
        return []
    meta = value["metadata"]
    if meta is None:
        meta = value["metadata"] = {}
    if not isinstance(meta, dict):
        raise WrongType(f"{path}.metadata: Invalid value: {_shown(meta)}: must be an object", "")
    shown = _shown(meta)
    try:
        return [f"{path}.metadata.{field}" for field in check_fields(object_meta(), meta)]
    except WrongType as fault:
        raise WrongType(f"{path}.metadata: Invalid value: {shown}: {fault}", "") from None


def _shown(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
