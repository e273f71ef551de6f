"""What is wrong with the rules written in a CRD's schema: shape, types, and the most they could ever cost.

An expression's estimate is multiplied by how often its node can occur in one object; both single estimates and their
sum are limited, so that no tenant can write rules that hold the shard.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import FieldError, forbidden, invalid, not_supported, required
from kcpshard.cel.checking import Checked, CompileFault, check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.field_paths import field_path
from kcpshard.cel.pricing import estimate
from kcpshard.cel.schema_types import MAX_REQUEST, type_of_schema
from kcpshard.cel.types import Type, optional_of

EXPRESSION_LIMIT, SCHEMA_LIMIT = 10_000_000, 100_000_000
UNLIMITED = (1 << 64) - 1
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NEWLINES = re.compile(r"[\n\r]")
_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)
Raw = Mapping[str, Any]


class _Cost(NamedTuple):
    path: str
    amount: int


class _Place(NamedTuple):
    """Where a node is: how often it can occur (None: only its size bounds that), and the list or map above it whose
    elements cannot be told apart over an update."""

    times: int | None = 1
    uncorrelatable: str = ""


def check_schema(raw: Raw, path: str) -> list[FieldError]:
    """What is wrong with the rules in the openAPIV3Schema at `path`; call it when the schema is structural."""
    checker = _Checker()
    checker.visit(raw, path, _Place(), True)
    return [*checker.faults, *checker.total(path)]


class _Checker:
    def __init__(self) -> None:
        self.faults: list[FieldError] = []
        self._costs: list[_Cost] = []

    def visit(self, raw: Raw, path: str, place: _Place, is_root: bool) -> None:
        for name, child in (raw.get("properties") or {}).items():
            self.visit(child, f"{path}.properties[{name}]", _below(raw, place, path), False)
        items, values = raw.get("items"), raw.get("additionalProperties")
        if isinstance(values, Mapping):
            self.visit(values, f"{path}.additionalProperties", _below(raw, place, path), False)
        if isinstance(items, Mapping):
            self.visit(items, f"{path}.items", _below(raw, place, path), False)
        self._rules(raw, path, place, is_root)

    def _rules(self, raw: Raw, path: str, place: _Place, is_root: bool) -> None:
        rules = raw.get("x-kubernetes-validations") or ()
        if not rules:
            return
        shapes = [f for i, rule in enumerate(rules) for f in _shape(rule, raw, f"{path}.x-kubernetes-validations[{i}]")]
        self.faults += shapes
        if shapes:
            return
        self_type = type_of_schema(raw, is_root or bool(raw.get("x-kubernetes-embedded-resource")))
        if self_type is None:
            text = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to "
            self.faults.append(FieldError(f"{path}.x-kubernetes-validations", "InternalError",
                               f"Internal error: {text}convert structural schema to CEL declarations"))  # fmt: skip
            return
        for number, rule in enumerate(rules):
            self._rule(rule, self_type, f"{path}.x-kubernetes-validations[{number}]", place)

    def _rule(self, rule: Raw, self_type: Type, path: str, place: _Place) -> None:
        types = {"self": self_type, "oldSelf": optional_of(self_type) if rule.get("optionalOldSelf") else self_type}
        checked = self._compiled(rule["rule"], types, "bool", f"{path}.rule", "", rule)
        if checked is None:
            if rule.get("optionalOldSelf") is not None:
                self.faults.append(_needless_optional(rule, path))
            return
        times = place.times if place.times is not None else MAX_REQUEST // (self_type.smallest + 1)
        self._priced(min(UNLIMITED, estimate(checked, self_type) * times), f"{path}.rule", "estimated rule cost")
        if rule.get("messageExpression"):
            message = self._compiled(
                rule["messageExpression"], types, "string", f"{path}.messageExpression", "messageExpression ", rule
            )
            if message is not None:
                cost = estimate(message, self_type)
                self._priced(cost, f"{path}.messageExpression", "estimated messageExpression cost")
        if "oldSelf" in checked.names:
            if place.uncorrelatable:
                text = "oldSelf cannot be used on the uncorrelatable portion of the schema within "
                self.faults.append(invalid(f"{path}.rule", rule["rule"], f"{text}{place.uncorrelatable}"))
        elif rule.get("optionalOldSelf") is not None:
            self.faults.append(_needless_optional(rule, path))

    def _compiled(
        self, text: str, types: Mapping[str, Type], wanted: str, path: str, what: str, rule: Raw
    ) -> Checked | None:
        try:
            checked = check(text, types)
        except CompileFault as fault:
            self._refuse(path, rule, f"{what}compilation failed: {fault}")
            return None
        if checked.root.type.kind != wanted:
            subject, kind = (what or "cel expression "), ("a bool" if wanted == "bool" else "a string")
            self._refuse(path, rule, f"{subject}must evaluate to {kind}")
            return None
        if unfit := constant_fault(checked):
            self._refuse(path, rule, f"{what or 'program '}instantiation failed: {unfit}")
            return None
        return checked

    def _refuse(self, path: str, rule: Raw, text: str) -> None:
        self.faults.append(FieldError(path, "FieldValueInvalid", f"Invalid value: {_shown_rule(rule)}: {text}"))

    def _priced(self, cost: int, path: str, what: str) -> None:
        if cost > EXPRESSION_LIMIT:
            self.faults.append(forbidden(path, _cost_text(what, cost, EXPRESSION_LIMIT)))
        self._costs.append(_Cost(path, cost))

    def total(self, path: str) -> Iterator[FieldError]:
        total = min(UNLIMITED, sum(cost.amount for cost in self._costs))
        if total <= SCHEMA_LIMIT:
            return
        relevant = [c for c in self._costs if c.amount >= SCHEMA_LIMIT // 100]
        for cost in sorted(relevant, key=lambda c: -c.amount)[:4]:
            text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            yield forbidden(cost.path, text)
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield forbidden(path, _cost_text(what, total, SCHEMA_LIMIT))


def _needless_optional(rule: Raw, path: str) -> FieldError:
    text = "may not be set if oldSelf is not used in rule"
    return invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], text)


def _below(raw: Raw, place: _Place, path: str) -> _Place:
    most: int | None = 1
    uncorrelatable = place.uncorrelatable
    if raw.get("type") == "array":
        most = raw.get("maxItems")
        if raw.get("x-kubernetes-list-type") != "map":
            uncorrelatable = uncorrelatable or path
    elif raw.get("type") == "object" and isinstance(raw.get("additionalProperties"), Mapping):
        most = raw.get("maxProperties")
    times = None if place.times is None or most is None else min(UNLIMITED, place.times * max(0, most))
    return _Place(times, uncorrelatable)


def _shape(rule: Raw, raw: Raw, path: str) -> Iterator[FieldError]:
    """What may be said of a rule without reading its expressions."""
    text, message = str(rule.get("rule") or ""), str(rule.get("message") or "")
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif _NEWLINES.search(message.strip()):
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    elif _NEWLINES.search(text.strip()) and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    expression = str(rule.get("messageExpression") or "")
    if expression and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    if rule.get("reason") is not None and rule["reason"] not in _REASONS:
        yield not_supported(f"{path}.reason", rule["reason"], _REASONS)
    yield from _field_path_faults(str(rule.get("fieldPath") or ""), raw, path)


def _field_path_faults(text: str, raw: Raw, path: str) -> Iterator[FieldError]:
    if not text:
        return
    if not text.strip():
        yield invalid(f"{path}.fieldPath", text, "must be non-empty if specified")
    if _NEWLINES.search(text):
        yield invalid(f"{path}.fieldPath", text, "must not contain line breaks")
    if field_path(text, raw) is None:
        yield invalid(f"{path}.fieldPath", text, "must be a valid path")


def _shown_rule(rule: Raw) -> str:
    """As Go shows the internal value of a rule."""
    texts = {name[0].upper() + name[1:]: rule.get(name) or "" for name in ("rule", "message", "messageExpression")}
    more = {"Reason": rule.get("reason"), "FieldPath": rule.get("fieldPath") or ""}
    shown = orjson.dumps({**texts, **more, "OptionalOldSelf": rule.get("optionalOldSelf")}).decode()
    return shown.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _cost_text(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_HINT}"
