"""What is particular to a kind, compiled once per kind from a table row (`Rules`): the contract's Strategy.

The rows are in `kinds/`, one module per family; a kind without a row gets the defaults: status is set only through
/status, everything else is mutable, nothing is validated beyond types. Scalar defaults that the published schemas
declare are filled in for kinds without a row of their own that says otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kcpshard.api.errors import FieldError
from kcpshard.api.requests import Identity
from kcpshard.definitions.contract import Object
from kcpshard.definitions.facts import Schema
from kcpshard.definitions.fields import check_fields, has_empty

Check = Callable[[Object], Iterable[FieldError]]
UpdateCheck = Callable[[Object, Object], Iterable[FieldError]]


class Rules(NamedTuple):
    """One kind's row. Everything that is empty costs nothing at run time."""

    attribute: Callable[[Object, Identity], None] | None = None
    default: tuple[Callable[[Object], None], ...] = ()
    prepare_create: tuple[Callable[[Object], None], ...] = ()
    prepare_update: Mapping[str, Callable[[Object, Object], None]] = {}  # by subresource, instead of the generic one
    validate: tuple[Check, ...] = ()  # on create, and on update of the main resource
    validate_create: tuple[Check, ...] = ()
    validate_update: tuple[UpdateCheck, ...] = ()  # (new, old), before `validate`
    validate_subresource: Mapping[str, tuple[UpdateCheck, ...]] = {}
    warnings: Callable[[Object], Iterable[str]] | None = None
    create_warnings: Callable[[Object], Iterable[str]] | None = None  # of new objects only
    early_warnings: Callable[[Object], Iterable[str]] | None = None  # of what preparation changes; beside faults too
    spec_warnings: Callable[[Object], Iterable[str]] | None = None  # of new objects, and where the generation changes
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()  # selectable label → path in the object
    fields_from: Callable[[Object], Mapping[str, str]] | None = None  # where a path does not say it
    field_aliases: Mapping[str, str] = {}  # instead of `fields`: label → the stored version's label
    generation: bool = False
    keeps_status: bool = False  # status may be written through the main resource
    counts_empties: str = ""  # in this member a list or map that is empty differs from none: a new generation
    status_alone: bool = False  # a status update takes nothing of metadata
    creates_status: bool = False  # a creator may set status
    graceful: Callable[[Object, int | None], int] | None = None  # seconds that a deletion takes
    disabled: Callable[[Object, Object | None], None] | None = None  # drops fields behind gates that are off (new, old)


def _generation(obj: Object) -> object:
    return obj["metadata"].get("generation")


class KindStrategy:
    """One kind's Strategy."""

    __slots__ = (
        "_defaults",
        "_field_paths",
        "_has_status",
        "_rules",
        "_schema",
        "_status",
        "_validators",
        "field_names",
    )

    def __init__(self, rules: Rules, schema: Schema | None) -> None:
        self._rules, self._schema = rules, schema
        properties = schema.properties if schema is not None and schema.properties else {}
        self._status = properties.get("status")
        self._has_status = "status" in properties and not rules.keeps_status
        self._defaults = (*_declared_defaults(schema), *rules.default)
        self._field_paths = rules.fields
        self._validators = (*rules.validate, *rules.validate_create)
        self.field_names = tuple(label for label, _ in rules.fields)

    def attribute(self, obj: Object, identity: Identity) -> None:
        if self._rules.attribute:
            self._rules.attribute(obj, identity)

    def default(self, obj: Object) -> None:
        for fill in self._defaults:
            fill(obj)

    def prepare_create(self, obj: Object) -> None:
        if self._has_status and obj.get("status") and not self._rules.creates_status:
            obj["status"] = self._zero_status()
        if self._rules.disabled:
            self._rules.disabled(obj, None)
        for prepare in self._rules.prepare_create:
            prepare(obj)

    def _zero_status(self) -> Object:
        """A status that nobody has set yet, with what Go writes for its fields."""
        if self._status is None or self._status.properties is None:
            return {}
        status: Object = {}
        check_fields(self._status, status)
        return status

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        if subresource == "scale":  # a write of the object itself, seen through its Scale
            subresource = ""
        if self._rules.disabled and not subresource:
            self._rules.disabled(new, old)
        if (own := self._rules.prepare_update.get(subresource)) is not None:
            own(new, old)
        elif subresource:
            keep_all_but(new, old, "status")
            if self._rules.status_alone:
                keep_metadata(new, old)
        elif self._has_status:
            keep(new, old, "status")

    def validate_create(self, obj: Object) -> list[FieldError]:
        validators = self._validators
        return [fault for check in validators for fault in check(obj)] if validators else []

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]:
        rules = self._rules
        if subresource not in ("", "scale"):
            checks = rules.validate_subresource.get(subresource, ())
            return [fault for check in checks for fault in check(new, old)]
        found = [fault for check in rules.validate_update for fault in check(new, old)]
        return found + [fault for check in rules.validate for fault in check(new)]

    def early_warnings(self, obj: Object) -> list[str]:
        """Of a new object as it came, before it is prepared; also if it is refused."""
        return list(self._rules.early_warnings(obj)) if self._rules.early_warnings else []

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        rules = self._rules
        found = list(rules.warnings(obj)) if rules.warnings else []
        if rules.create_warnings and old is None:
            found += rules.create_warnings(obj)
        if rules.spec_warnings and (old is None or _generation(obj) != _generation(old)):
            found += rules.spec_warnings(obj)
        return found

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        if self._rules.fields_from:
            return self._rules.fields_from(obj)
        return {label: field_text(obj, path) for label, path in self._field_paths} if self._field_paths else {}

    def has_empties(self, obj: Object) -> bool:
        member = self._rules.counts_empties
        schema = self._schema.properties.get(member) if member and self._schema and self._schema.properties else None
        return schema is not None and has_empty(schema, obj.get(member))

    def has_generation(self) -> bool:
        return self._rules.generation

    def graceful(self, obj: Object, grace_period_s: int | None) -> int:
        return self._rules.graceful(obj, grace_period_s) if self._rules.graceful else 0


def keep(new: Object, old: Object, member: str) -> None:
    """`member` stays as it was."""
    if member in old:
        new[member] = old[member]
    else:
        new.pop(member, None)


def keep_all_but(new: Object, old: Object, member: str) -> None:
    """Only `member` and metadata change: what a subresource update may do."""
    for name in [*old, *new]:
        if name not in (member, "metadata", "apiVersion", "kind"):
            keep(new, old, name)


def keep_metadata(new: Object, old: Object) -> None:
    """What a write of a part of the object may not change of its metadata (apimachinery `ResetObjectMetaForStatus`)."""
    for member in ("labels", "annotations", "ownerReferences", "finalizers"):
        keep(new["metadata"], old["metadata"], member)


def field_text(obj: Object, path: tuple[str, ...]) -> str:
    """A value as a field selector compares it; absent is the empty string."""
    found: Any = obj
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
        if found is None:
            return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)


def _declared_defaults(schema: Schema | None) -> Iterator[Callable[[Object], None]]:
    if schema is not None and _declares_defaults(schema, set()):
        yield lambda obj: _fill_defaults(obj, schema)


def _declares_defaults(schema: Schema, seen: set[int]) -> bool:
    if id(schema) in seen or schema.name.endswith(".ObjectMeta"):
        return False
    seen.add(id(schema))
    inner = [*(schema.properties or {}).values(), schema.items, schema.values]
    return any(s is not None and (s.default is not None or _declares_defaults(s, seen)) for s in inner)


def _fill_defaults(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, child in (schema.properties or {}).items():
            if child.default is not None and value.get(name) in (None, ""):
                value[name] = child.default
        for name, item in value.items():
            inner = schema.properties.get(name) if schema.properties is not None else schema.values
            if inner is not None and inner.type in ("object", "array"):
                _fill_defaults(item, inner)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            _fill_defaults(item, schema.items)
