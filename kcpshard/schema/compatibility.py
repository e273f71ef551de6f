"""The narrowest schema that two structural schemas share, and what an object loses on the way to it. Pure.

Promise: whatever the lowest common denominator accepts and keeps (after its own defaults), both accept and keep.
Where the two differ in what cannot be met, that is said; a doubt is a conflict, never compatibility.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.schema import structural_faults
from kcpshard.schema.pruning import prune_value
from kcpshard.schema.structural import Structural
from kcpshard.schema.validation import satisfies
from kcpshard.schema.value_rules import IDIOM, KEYWORDS, meet_rules

Raw = Mapping[str, Any]
_ALL = frozenset(("object", "array", "string", "integer", "fraction", "boolean"))
_ANYTHING: Raw = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
_ROOT = ("apiVersion", "kind", "metadata")
_STRUCTURE = frozenset(
    ("type", "nullable", "default", "properties", "additionalProperties", "items", "required",
     "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
     "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type")
)  # fmt: skip


class Difference(NamedTuple):
    """`removed` names the fields that the new schema does not have, if that is what differs."""

    path: str
    said: str
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}: {self.said}"


class Comparison(NamedTuple):
    """`narrowings`: what the existing schema accepts and the new one does not, although part of it can be kept.
    `conflicts`: what no narrowing resolves; `lcd` is then None."""

    lcd: dict[str, Any] | None
    narrowings: tuple[Difference, ...]
    conflicts: tuple[Difference, ...]

    @property
    def is_compatible(self) -> bool:
        """The new schema accepts and keeps whatever the existing one accepts."""
        return not self.narrowings and not self.conflicts

    @property
    def faults(self) -> tuple[Difference, ...]:
        return (*self.conflicts, *self.narrowings)


def compare(existing: Raw, new: Raw | None, path: str) -> Comparison:
    """Two structural schemas of whole objects; `path` begins what is said of differences."""
    if not new:
        return Comparison(None, (), (Difference(path, "the new schema is missing: it allows nothing"),))
    walk = _Walk()
    lcd = walk.meet(existing, new, path, is_root=True)
    conflicts = walk.conflicts or [*_broken_rules(lcd, walk.narrowings), *_unstructural(existing, new, lcd, path)]
    return Comparison(None if conflicts else lcd, tuple(walk.narrowings), tuple(conflicts))


def _broken_rules(lcd: Raw, narrowings: Sequence[Difference]) -> Iterator[Difference]:
    """Expressions that name a field which is no longer there would not compile."""
    removed = {name for narrowing in narrowings for name in narrowing.removed}
    if not removed:
        return
    named = re.compile(rf"\b({'|'.join(map(re.escape, sorted(removed)))})\b")
    for path, node in _nodes(lcd, ""):
        for rule in node.get("x-kubernetes-validations") or ():
            if found := named.search(rule.get("rule") or ""):
                yield Difference(path, f"rule {rule['rule']} speaks of the field {found[0]}, which would be removed")


def _nodes(schema: Raw, path: str) -> Iterator[tuple[str, Raw]]:
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        yield from _nodes(child, f"{path}.properties[{name}]")
    for member in ("items", "additionalProperties"):
        if isinstance(schema.get(member), dict):
            yield from _nodes(schema[member], f"{path}.{member}")


def _unstructural(existing: Raw, new: Raw, lcd: Raw, path: str) -> Iterator[Difference]:
    """What became of two structural schemas must be one; if it is not, their junctors name fields that are gone."""
    found = structural_faults.faults(lcd, path)
    if found and not structural_faults.faults(existing, path) and not structural_faults.faults(new, path):
        yield from (Difference(fault.field, fault.detail) for fault in found)


class _Walk:
    def __init__(self) -> None:
        self.narrowings: list[Difference] = []
        self.conflicts: list[Difference] = []

    def narrow(self, path: str, said: str, removed: Iterable[str] = ()) -> None:
        self.narrowings.append(Difference(path, said, tuple(removed)))

    def conflict(self, path: str, said: str) -> None:
        self.conflicts.append(Difference(path, said))

    def meet(self, existing: Raw, new: Raw, path: str, is_root: bool = False) -> dict[str, Any]:
        if existing == new:
            return dict(existing)
        kinds = _kinds(existing) & _kinds(new)
        if not kinds:
            self.conflict(path, f"type changed from {_type_name(existing)} to {_type_name(new)}")
            return dict(existing)
        met = {key: value for key, value in existing.items() if key not in _STRUCTURE and key not in KEYWORDS}
        self._types(met, existing, new, kinds, path)
        if existing.get("nullable") and new.get("nullable"):
            met["nullable"] = True
        elif existing.get("nullable"):
            self.narrow(path, "null is no longer allowed")
        self._rules(met, existing, new, kinds, path)
        if "object" in kinds:
            self._object(met, existing, new, path, is_root)
        if "array" in kinds:
            self._array(met, existing, new, path)
        self._default(met, existing, new)
        return met

    def _types(self, met: dict[str, Any], existing: Raw, new: Raw, kinds: frozenset[str], path: str) -> None:
        if kinds != _kinds(existing):
            self.narrow(path, f"type changed from {_type_name(existing)} to {_type_name(new)}")
        if kinds == {"integer", "string"}:
            met["x-kubernetes-int-or-string"] = True
        elif kinds == {"integer", "fraction"}:
            met["type"] = "number"
        elif len(kinds) == 1:
            met["type"] = next(iter(kinds))

    def _rules(self, met: dict[str, Any], existing: Raw, new: Raw, kinds: frozenset[str], path: str) -> None:
        meeting = meet_rules(existing, new, kinds)
        met.update(meeting.met)
        if met.get("x-kubernetes-int-or-string") and IDIOM in (existing.get("anyOf"), new.get("anyOf")):
            if "anyOf" in met:
                met["allOf"] = [{"anyOf": IDIOM}, *met.get("allOf", ())]
            else:
                met["anyOf"] = IDIOM
        for _rule, said in meeting.tightened:
            self.narrow(path, said)
        for _rule, said in meeting.conflicts:
            self.conflict(path, said)

    # --- objects

    def _object(self, met: dict[str, Any], existing: Raw, new: Raw, path: str, is_root: bool) -> None:
        properties = self._properties(existing, new, path, is_root)
        if properties or ("properties" in existing and "properties" in new):
            met["properties"] = properties
        self._others(met, existing, new, path)
        self._embedded(met, existing, new, path)
        self._required(met, existing, new, path)
        if (existing.get("x-kubernetes-map-type") or "granular") != (new.get("x-kubernetes-map-type") or "granular"):
            self.conflict(path, "x-kubernetes-map-type differs")
        elif existing.get("x-kubernetes-map-type"):
            met["x-kubernetes-map-type"] = existing["x-kubernetes-map-type"]

    def _properties(self, existing: Raw, new: Raw, path: str, is_root: bool) -> dict[str, Any]:
        ours, theirs = existing.get("properties") or {}, new.get("properties") or {}
        our_others, their_others = _others(existing), _others(new)
        found: dict[str, Any] = {}
        removed = []
        for name in dict.fromkeys((*ours, *theirs)):
            first, second = ours.get(name, our_others), theirs.get(name, their_others)
            if is_root and name in _ROOT:  # kept whatever a schema says
                first, second = first or second, second or first
            if first is None:
                continue
            if second is None:
                removed.append(name)
                continue
            found[name] = self.meet(first, second, f"{path}.properties[{name}]")
        if removed:
            removed.sort()
            said = f"properties have been removed in an incompatible way: [{' '.join(removed)}]"
            self.narrow(f"{path}.properties", said, removed)
        return found

    def _others(self, met: dict[str, Any], existing: Raw, new: Raw, path: str) -> None:
        """Fields without a schema of their own: none, all of one schema, or anything."""
        first, second = _others(existing), _others(new)
        if first is None:
            return
        if second is None:
            self.narrow(f"{path}.additionalProperties", "other fields are no longer kept")
            return
        others = self.meet(first, second, f"{path}.additionalProperties")
        if others == _ANYTHING:
            if _is_free(existing) or _is_free(new) or met.get("properties") or "type" not in met:
                met["x-kubernetes-preserve-unknown-fields"] = True
            else:
                met["additionalProperties"] = True
        elif met.get("properties"):
            self.narrow(f"{path}.additionalProperties", "other fields are no longer kept: only those named by both")
        else:
            met["additionalProperties"] = others

    def _embedded(self, met: dict[str, Any], existing: Raw, new: Raw, path: str) -> None:
        first, second = (bool(s.get("x-kubernetes-embedded-resource")) for s in (existing, new))
        if first or second:
            met["x-kubernetes-embedded-resource"] = True
        if first != second:
            if _others(new if first else existing) is None:
                self.conflict(path, "x-kubernetes-embedded-resource differs")
            elif second:
                self.narrow(path, "only whole resources are allowed, with apiVersion and kind")

    def _required(self, met: dict[str, Any], existing: Raw, new: Raw, path: str) -> None:
        ours, theirs = existing.get("required") or (), new.get("required") or ()
        names = list(dict.fromkeys((*ours, *theirs)))
        if not names:
            return
        met["required"] = names
        properties = met.get("properties") or {}
        is_open = bool(met.get("additionalProperties") or met.get("x-kubernetes-preserve-unknown-fields"))
        for name in names:
            if name not in properties and not is_open:
                if _keeps(existing, name) != _keeps(new, name) or (name in ours) != (name in theirs):
                    self.conflict(path, f"{name} is required, which one of the two does not have")
            elif name not in ours and (properties.get(name) or {}).get("default") is None:
                self.narrow(path, f"{name} becomes required")

    # --- lists

    def _array(self, met: dict[str, Any], existing: Raw, new: Raw, path: str) -> None:
        if not existing.get("type") or not new.get("type"):  # one of them is anything
            known = existing if existing.get("type") else new
            met.update({k: v for k, v in known.items() if k == "items" or k.startswith("x-kubernetes-list-")})
            return
        if existing.get("items") is not None and new.get("items") is not None:
            met["items"] = self.meet(existing["items"], new["items"], f"{path}.Items")
        ours, theirs = (s.get("x-kubernetes-list-type") or "atomic" for s in (existing, new))
        if ours != theirs:
            self.conflict(path, f"x-kubernetes-list-type changed from {ours} to {theirs}")
        elif existing.get("x-kubernetes-list-type"):
            met["x-kubernetes-list-type"] = ours
        keys, their_keys = (s.get("x-kubernetes-list-map-keys") or [] for s in (existing, new))
        if set(keys) != set(their_keys):
            self.conflict(path, f"x-kubernetes-list-map-keys changed from {keys} to {their_keys}")
        elif keys:
            met["x-kubernetes-list-map-keys"] = keys
            _require_keys(met.get("items"), keys)

    # --- defaults

    def _default(self, met: dict[str, Any], existing: Raw, new: Raw) -> None:
        """That of one is made explicit for both; two that differ are nobody's."""
        values = [s["default"] for s in (existing, new) if s.get("default") is not None]
        if not values or (len(values) == 2 and values[0] != values[1]):
            return
        schema = Structural(met)
        if satisfies(values[0], schema) and not prune_value(_copied(values[0]), schema):
            met["default"] = values[0]


def _require_keys(items: dict[str, Any] | None, keys: Sequence[str]) -> None:
    """A key of a map list is always there: it has a default or is required."""
    properties = (items or {}).get("properties") or {}
    for key in keys:
        if items is not None and key in properties and properties[key].get("default") is None:
            items["required"] = list(dict.fromkeys((*(items.get("required") or ()), key)))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _kinds(schema: Raw) -> frozenset[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return frozenset(("integer", "string"))
    match schema.get("type"):
        case None | "":
            return _ALL
        case "number":
            return frozenset(("integer", "fraction"))
        case kind:
            return frozenset((str(kind),))


def _type_name(schema: Raw) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    return str(schema.get("type") or "anything")


def _is_free(schema: Raw) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _keeps(schema: Raw, name: str) -> bool:
    return name in (schema.get("properties") or {}) or _others(schema) is not None


def _others(schema: Raw) -> Raw | None:
    """The schema of fields that have none of their own; None: they are dropped."""
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return values
    return _ANYTHING if values or _is_free(schema) else None
