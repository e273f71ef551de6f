"""The schemas of a CustomResourceDefinition, and the selectable fields that must be in them. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kcpshard.api.errors import FieldError, duplicate, invalid, too_many
from kcpshard.cel.rules import check_schema
from kcpshard.definitions.contract import Object
from kcpshard.definitions.custom_fields import steps_of
from kcpshard.schema.structural_faults import faults

_MAX_SELECTABLE = 8
_FIRST_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|.", re.DOTALL)


def schema_faults(obj: Object) -> Iterator[FieldError]:
    """What every version has alike is reported once, where kube-apiserver's internal value has it."""
    versions: Sequence[Object] = obj["spec"].get("versions") or []
    schemas = [(v.get("schema") or {}).get("openAPIV3Schema") for v in versions]
    if versions and all(schema == schemas[0] for schema in schemas):
        yield from _one(schemas[0], "spec.validation.openAPIV3Schema")
    else:
        for place, schema in enumerate(schemas):
            yield from _one(schema, f"spec.versions[{place}].schema.openAPIV3Schema")
    fields = [v.get("selectableFields") for v in versions]
    if versions and all(field == fields[0] for field in fields):
        yield from _selectable(fields[0] or (), schemas[0], "spec.selectableFields")
    else:
        for place, (field, schema) in enumerate(zip(fields, schemas, strict=True)):
            yield from _selectable(field or (), schema, f"spec.versions[{place}].selectableFields")


def _one(schema: Any, path: str) -> Iterator[FieldError]:
    if schema is None:
        return
    found = faults(schema, path)
    yield from found
    if not found:
        yield from check_schema(schema, path)


def _selectable(fields: Sequence[Mapping[str, str]], schema: Any, path: str) -> Iterator[FieldError]:
    if len(fields) > _MAX_SELECTABLE:
        yield too_many(path, len(fields), _MAX_SELECTABLE)
        return
    seen = set()
    for place, field in enumerate(fields):
        here, value = f"{path}[{place}].jsonPath", field["jsonPath"]
        if fault := _path_fault(value, schema or {}):
            yield invalid(here, value, fault)
        if value in seen:
            yield duplicate(here, value)
        seen.add(value)


def _path_fault(path: str, schema: Mapping[str, Any]) -> str:
    if not path.startswith("."):
        found = _FIRST_TOKEN.match(path)
        return f"is an invalid path: expected [ or . but got: {found[0] if found else ''}"
    for step in steps_of(path):
        schema = (schema.get("properties") or {}).get(step) or {}
    if not schema or steps_of(path)[:1] == ("metadata",):
        return "is an invalid path: does not refer to a valid field"
    if schema.get("type") not in ("string", "boolean", "integer"):
        return (
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
            "are allowed."
        )
    return ""
