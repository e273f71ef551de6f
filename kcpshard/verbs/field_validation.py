"""fieldValidation and the other options every write takes: unknown and duplicate fields become faults or warnings."""

from collections.abc import Sequence

from kcpshard.api.errors import BadRequest, FieldError, Invalid, not_supported, object_invalid, too_long
from kcpshard.api.objects import Object
from kcpshard.api.requests import Request
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.embedded_resources import read_embedded
from kcpshard.definitions.fields import WrongType, check_fields, object_meta
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.schema.pruning import prune
from kcpshard.verbs import duplicate_fields
from kcpshard.verbs.decoding import go_kind

_MAX_FIELD_MANAGER = 128
_MODES = ("", "Ignore", "Strict", "Warn")


def check_options(request: Request, options: str) -> None:
    """`options` names the kind in the fault: CreateOptions, UpdateOptions, PatchOptions. dryRun is the front's."""
    if not request.field_manager and request.field_validation in _MODES:
        return
    faults: list[FieldError] = []
    manager = request.field_manager
    if len(manager) > _MAX_FIELD_MANAGER:
        faults.append(too_long("fieldManager", _MAX_FIELD_MANAGER))
    for at, char in enumerate(manager):
        if not char.isprintable():
            text = f"Invalid value: {_quoted(manager)}: invalid character U+{ord(char):04X} (at position {at})"
            faults.append(FieldError("fieldManager", "FieldValueInvalid", text))
    if request.field_validation not in _MODES:
        faults.append(not_supported("fieldValidation", request.field_validation, _MODES))
    if faults:
        raise options_invalid(options, faults)


def _quoted(text: str) -> str:
    """Go's %q."""
    shown = (f"\\x{ord(c):02x}" if ord(c) < 0x20 or ord(c) == 0x7F else c for c in text.replace('"', '\\"'))
    return f'"{"".join(shown)}"'


def options_invalid(options: str, faults: Sequence[FieldError]) -> Invalid:
    return object_invalid("meta.k8s.io", options, "", faults)


def checked_fields(request: Request, resource: Resource, obj: Object) -> Sequence[str]:
    """Bring `obj` into the form of its kind, without unknown fields, in place; the result is warnings. Raises
    FieldFault for wrong types, and under Strict for any unknown or duplicate field."""
    unknown = _unknown_fields(resource, obj)
    duplicates = request.duplicate_fields
    if not unknown and not duplicates:
        return ()
    mode = request.field_validation
    if mode == "Ignore":
        return ()
    texts = _texts(request, resource, duplicates, unknown)
    if mode != "Strict":
        return texts
    if duplicate_fields.is_yaml(duplicates):
        texts = [duplicate_fields.yaml_fault(duplicates), *texts[len(duplicates) :]]
    raise FieldFault(resource, f"strict decoding error: {', '.join(texts)}")


def _texts(request: Request, resource: Resource, duplicates: Sequence[str], unknown: Sequence[str]) -> list[str]:
    if request.verb == pb.PATCH:
        prefix = "json patch " if request.patch_type == pb.JSON_PATCH else ""
        return duplicate_fields.texts(duplicates, unknown, prefix)
    if resource.definition is not None:  # first read without a schema, then pruned
        return duplicate_fields.texts(duplicates, unknown)
    return duplicate_fields.in_order(request.body, duplicates, unknown)


class FieldFault(BadRequest):
    """The object is not one of its kind. `fault` is the reason alone, which patch puts into a sentence of its own."""

    def __init__(self, resource: Resource, fault: str, wrong: WrongType | None = None) -> None:
        self.fault, self.wrong = fault, wrong
        kind = resource.kind
        super().__init__(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {fault}')


def _unknown_fields(resource: Resource, obj: Object) -> Sequence[str]:
    try:
        if resource.schema is not None and resource.definition is None:
            return check_fields(resource.schema, obj)
        # Of a custom kind the schema says nothing about metadata, which is everybody's.
        dropped = _read_custom(resource, obj) if resource.definition is not None else []
        meta = obj.get("metadata")
        if meta is None:
            return dropped
        if not isinstance(meta, dict):
            text = f"json: cannot unmarshal {go_kind(meta)} into Go struct field .metadata of type v1.ObjectMeta"
            raise FieldFault(resource, text)
        return [*dropped, *(f"metadata.{path}" for path in check_fields(object_meta(), meta))]
    except WrongType as fault:
        raise FieldFault(resource, str(fault), fault) from None


def _read_custom(resource: Resource, obj: Object) -> list[str]:
    """Unknown fields of a custom resource outside its metadata, which are dropped."""
    dropped = prune(obj, resource.schema)
    if resource.definition.schemas[resource.version].has_embedded:
        dropped += read_embedded(obj, resource.schema)
    return dropped
