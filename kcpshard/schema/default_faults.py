"""Whether the defaults that a schema declares are values that it accepts. Pure."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from kcpshard.api.errors import FieldError, invalid
from kcpshard.schema.defaulting import default
from kcpshard.schema.pruning import prune_value
from kcpshard.schema.structural import Structural
from kcpshard.schema.validation import explain, list_faults


def default_faults(raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Of every default at and below the schema at `path`."""
    if raw.get("default") is not None:
        yield from _faults_of(raw, f"{path}.default")
    for name, child in (raw.get("properties") or {}).items():
        yield from default_faults(child, f"{path}.properties[{name}]")
    for member in ("items", "additionalProperties"):
        if isinstance(raw.get(member), dict):
            yield from default_faults(raw[member], f"{path}.{member}")


def _faults_of(raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A default is itself defaulted before it is judged, but may not hold what would be pruned."""
    schema = Structural(raw)
    value = deepcopy(raw["default"])
    if prune_value(value, schema):
        yield invalid(path, raw["default"], "must not have unknown fields")
        return
    default(value, schema)
    for fault in (*explain(value, schema), *list_faults(value, schema)):
        yield fault._replace(field=f"{path}.{fault.field}" if fault.field else path)
