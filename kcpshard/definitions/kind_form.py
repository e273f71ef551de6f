"""An object that others than its author have changed, brought into the form of its kind; and what of it can be merged.

Wrong types are refused, unknown fields dropped, as when kube-apiserver reads an object that a webhook has patched.
"""

from collections.abc import Mapping

from kcpshard.api.structured_merge import FieldSchema
from kcpshard.definitions.contract import Object, Resource
from kcpshard.definitions.embedded_resources import read_embedded
from kcpshard.definitions.fields import WrongType, check_fields, object_meta
from kcpshard.schema.pruning import prune


class WrongForm(Exception):
    """The object is not one of its kind any more; the text says where."""


def read_back(resource: Resource, obj: Object, *, strictly: bool = False) -> None:
    """In place. Raises WrongForm, also for unknown fields of a built-in kind if `strictly`."""
    try:
        if resource.definition is None:
            unknown = check_fields(resource.schema, obj) if resource.schema is not None else []
            if unknown and strictly:
                listed = ", ".join(f'unknown field "{path}"' for path in unknown)
                raise WrongForm(f"strict decoding error: {listed}")
            return
        prune(obj, resource.schema)
        if resource.definition.schemas[resource.version].has_embedded:
            read_embedded(obj, resource.schema)
        meta = obj.get("metadata")
        if not isinstance(meta, dict):
            raise WrongForm("metadata must be an object")
        check_fields(object_meta(), meta)
    except WrongType as fault:
        raise WrongForm(str(fault)) from None


def field_schema(resource: Resource) -> FieldSchema | None:
    """What of the kind can be owned and merged: that of a custom kind says nothing about metadata itself."""
    schema: FieldSchema | None = resource.schema
    return schema if resource.definition is None or schema is None else _WithMetadata(schema)


class _WithMetadata:
    """The schema of a custom kind and that of everybody's metadata."""

    __slots__ = (
        "default", "items", "list_map_keys", "list_type", "map_type", "preserve_unknown", "properties", "type",
        "values",
    )  # fmt: skip

    def __init__(self, schema: FieldSchema) -> None:
        self.properties: Mapping[str, FieldSchema] = {**(schema.properties or {}), "metadata": object_meta()}
        self.values, self.items, self.default = schema.values, None, None
        self.list_type, self.list_map_keys, self.map_type = "", (), schema.map_type
        self.type, self.preserve_unknown = "object", getattr(schema, "preserve_unknown", False)


__all__ = ["WrongForm", "field_schema", "read_back"]
