"""What the expression of a mutation makes of an object: a JSON patch applied, or a configuration merged into it."""

import base64
from collections.abc import Iterator
from typing import Any

import orjson

from kcpshard.api import patches
from kcpshard.api.patches import PatchFault, TestFailed
from kcpshard.api.structured_merge import DuplicateItem, FieldSchema, child_schema, merge
from kcpshard.api.typed_values import typed_fault, typed_faults
from kcpshard.cel.values import Duration, Struct, Timestamp, UInt, show_duration, show_timestamp, type_name
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.kind_form import field_schema

_SAFE = (1 << 53) - 1  # a larger integer is a string in JSON


class MutationFault(Exception):
    """The mutation cannot be made; the text is for the client."""


def patched(obj: Object, steps: list[Any]) -> Object:
    """A new object. A `test` that fails leaves everything as it is. Raises MutationFault."""
    operations = patches.parse_json_patch([_step(step) for step in steps])
    try:
        found = patches.apply_json_patch(orjson.loads(orjson.dumps(obj)), operations)
    except TestFailed:
        return obj
    except PatchFault as fault:
        raise MutationFault(f"JSON Patch: {fault}") from None
    if not isinstance(found, dict):
        raise MutationFault("JSON Patch: the result is not an object")
    return found


def _step(step: Any) -> dict[str, Any]:
    if not isinstance(step, Struct) or step.type_name != "JSONPatch":
        raise MutationFault(
            "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of "
            f"{type_name(step)}"
        )
    found: dict[str, Any] = {"op": step.fields.get("op", ""), "path": step.fields.get("path", "")}
    if step.fields.get("from"):
        found["from"] = step.fields["from"]
    if "value" in step.fields:
        value = step.fields["value"]
        if isinstance(value, Struct):
            _check_names(value)
        found["value"] = _json(value)
    return found


def merged(resource: Resource, obj: Object, made: Any) -> Object:
    """The configuration that `Object{…}` is, merged into the object. Raises MutationFault."""
    if not isinstance(made, Struct):
        raise MutationFault(f"unsupported return type from ApplyConfiguration expression: {type_name(made)}")
    _check_names(made)
    given = {**_json(made, null=0), "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    schema = field_schema(resource)
    if faults := typed_faults(given, schema):
        raise MutationFault(
            f"error applying patch: failed to convert patch object to typed object: {typed_fault(faults)}"
        )
    if atomic := list(_atomics(given, schema, "")):
        text = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs"
        raise MutationFault(f"error applying patch: {text}: {', '.join(atomic)}")
    try:
        found: Object = merge(obj, given, schema)
    except DuplicateItem as fault:
        raise MutationFault(f"error applying patch: failed to merge patch: {fault}") from None
    return found


def _check_names(made: Struct) -> None:
    faults = list(_name_faults(made, made.type_name))
    if faults:
        raise MutationFault("type mismatch: " + "\n".join(faults))


def _name_faults(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Struct):
        if value.type_name != path:
            yield (
                f'unexpected type name "{value.type_name}", expected "{path}", which matches field name path from root '
                "Object type"
            )
        for name, item in value.fields.items():
            yield from _name_faults(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _name_faults(item, path)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _name_faults(item, path)


def _atomics(value: Any, schema: FieldSchema | None, path: str) -> Iterator[str]:
    """Maps and lists that are replaced as a whole: a configuration may not have them."""
    if schema is None:
        return
    if isinstance(value, dict):
        if schema.map_type == "atomic":
            yield path
        for name, item in value.items():
            yield from _atomics(item, child_schema(schema, name), f"{path}.{name}")
    elif isinstance(value, list):
        if schema.list_type not in ("map", "set"):
            yield path
        for place, item in enumerate(value):
            yield from _atomics(item, schema.items, f"{path}[{place}]")


def _json(value: Any, null: Any = None) -> Any:
    """`null` is what null becomes: in a configuration kube-apiserver makes a number of it, the enum's only one."""
    match value:
        case Struct():
            return {name: _json(item, null) for name, item in value.fields.items()}
        case dict():
            if any(not isinstance(key, str) for key in value):
                raise MutationFault("a map key is not a string")
            return {key: _json(item, null) for key, item in value.items()}
        case list():
            return [_json(item, null) for item in value]
        case None:
            return null
        case bool() | str() | float():
            return value
        case UInt() | int():
            return int(value) if abs(value) <= _SAFE else str(int(value))
        case bytes():
            return base64.b64encode(value).decode()
        case Timestamp():
            return show_timestamp(value)
        case Duration():
            return show_duration(value)
    raise MutationFault(
        "JSONPath valueExpression evaluated to a type that could not marshal to JSON: type conversion error from "
        f"'{type_name(value).rpartition('.')[2]}' to '*structpb.Value'"
    )
