"""The x-kubernetes-validations of a CRD: what they say of an object.

Decides what a rule sees (`self`, `oldSelf`), which stored value a value is compared with, which faults an unchanged
value may keep, and when the budget is spent. The check at a definition's creation is `schema_check`'s.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

from kcpshard.api import loop_time
from kcpshard.api.errors import FieldError, forbidden, required
from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.evaluation import CostExceeded, Program
from kcpshard.cel.field_paths import field_path
from kcpshard.cel.schema_check import check_schema
from kcpshard.cel.schema_types import Conversion, conversion, type_of_schema
from kcpshard.cel.types import Type, optional_of
from kcpshard.cel.values import NONE, EvalFault, Optional
from kcpshard.schema.structural import Structural

BUDGET = 10_000_000  # of all rules of one object, as celconfig.RuntimeCELCostBudget
MESSAGE_LIMIT = 5 * 1024
VARIABLES = ("self", "oldSelf")
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_MISSING: Any = object()
OMITTED: Any = object()
Raw = Mapping[str, Any]


class Rules:
    """All rules of one schema. Shared; programs are made when they are first needed."""

    __slots__ = ("_raw", "_root")

    def __init__(self, raw: Raw) -> None:
        self._raw: Raw = raw
        self._root: _Node | None = None

    def validate(self, new: Mapping[str, Any], old: Mapping[str, Any] | None, path: str = "") -> list[FieldError]:
        """Every rule that `new` breaks. `old` is what is stored, None on create; `path` is that of the whole object."""
        if self._root is None:
            self._root = _node(self._raw, True)
        run = _Run()
        with suppress(_OutOfBudget):
            run.visit(self._root, new, old, path, _Correlation(new, old) if old is not None else None, True)
        return run.faults


def compile_rules(structural: Structural) -> Rules | None:
    """The rules of a custom resource's schema; None if it has none."""
    raw = structural._raw
    return Rules(raw) if has_rules(raw) else None


def has_rules(raw: Raw) -> bool:
    if raw.get("x-kubernetes-validations"):
        return True
    return any(map(has_rules, _inner(raw)))


def _inner(raw: Raw) -> Iterator[Raw]:
    yield from (raw.get("properties") or {}).values()
    for name in ("items", "additionalProperties"):
        if isinstance(raw.get(name), Mapping):
            yield raw[name]


class _OutOfBudget(Exception):
    """No further rule is looked at."""


class _Rule:
    """One rule, compiled. `fault` instead of a program if it does not compile."""

    __slots__ = ("fault", "field", "is_optional", "message", "program", "raw", "uses_old")

    def __init__(self, raw: Raw, self_type: Type, schema: Raw) -> None:
        self.raw = raw
        self.is_optional = bool(raw.get("optionalOldSelf"))
        self.fault, self.program, self.message = "", None, None
        self.uses_old = False
        types = {"self": self_type, "oldSelf": optional_of(self_type) if self.is_optional else self_type}
        try:
            checked = check(raw.get("rule") or "", types)
            self.uses_old = "oldSelf" in checked.names
            self.program = Program(checked, VARIABLES)
            if raw.get("messageExpression"):
                self.message = Program(check(raw["messageExpression"], types), VARIABLES)
        except CompileFault as fault:
            if self.program is None:
                self.fault = f"compilation failed: {fault}"
        self.field = (field_path(raw["fieldPath"], schema) if raw.get("fieldPath") else None) or ""

    def shown(self) -> str:
        return str(self.raw.get("message") or self.raw.get("rule") or "").strip()

    def default_message(self) -> str:
        message = str(self.raw.get("message") or "").strip()
        return message or f"failed rule: {self.shown()}"


class _Node:
    """One schema node with rules at it or below it. Children without rules are not here."""

    __slots__ = ("convert", "items", "map_keys", "properties", "rules", "type", "values")

    def __init__(self, type_: str, convert: Conversion | None) -> None:
        self.type, self.convert = type_, convert
        self.rules: tuple[_Rule, ...] = ()
        self.properties: dict[str, _Node] = {}
        self.items: _Node | None = None
        self.values: _Node | None = None
        self.map_keys: tuple[str, ...] = ()


def _node(raw: Raw, is_root: bool) -> _Node:
    found = _Node(raw.get("type") or "", conversion(raw))
    written = raw.get("x-kubernetes-validations") or ()
    self_type = type_of_schema(raw, is_root) if written else None
    if self_type is not None:
        found.rules = tuple(_Rule(rule, self_type, raw) for rule in written)
    for name, child in (raw.get("properties") or {}).items():
        if has_rules(child):
            found.properties[name] = _child(child)
    items, values = raw.get("items"), raw.get("additionalProperties")
    found.items = _child(items) if isinstance(items, Mapping) and has_rules(items) else None
    found.values = _child(values) if isinstance(values, Mapping) and has_rules(values) else None
    if raw.get("x-kubernetes-list-type") == "map":
        found.map_keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
    return found


def _child(raw: Raw) -> _Node:
    return _node(raw, bool(raw.get("x-kubernetes-embedded-resource")))


class _Correlation:
    """A value beside the stored one it corresponds to; whether they are equal is found out once."""

    __slots__ = ("_equal", "new", "old")

    def __init__(self, new: Any, old: Any) -> None:
        self.new, self.old = new, old
        self._equal: bool | None = None

    def is_unchanged(self) -> bool:
        if self._equal is None:
            self._equal = bool(self.new == self.old)
        return self._equal

    def at(self, new: Any, old: Any) -> "_Correlation | None":
        return None if old is _MISSING else _Correlation(new, old)


class _Run:
    """One object's validation: what is left of the budget, and what was found."""

    __slots__ = ("budget", "faults")

    def __init__(self) -> None:
        self.budget = BUDGET
        self.faults: list[FieldError] = []

    def visit(
        self, node: _Node, new: Any, old: Any, path: str, correlation: _Correlation | None, is_exact: bool
    ) -> None:
        """`correlation` is that of the value, or of its nearest ancestor that has one (then not `is_exact`)."""
        if new is None:
            return
        if node.rules:
            self._evaluate(node, new, old, path, correlation)
        if isinstance(new, list):
            if node.items is not None:
                self._visit_list(node, node.items, new, old, path, correlation, is_exact)
        elif isinstance(new, dict):
            self._visit_map(node, new, old, path, correlation, is_exact)

    def _visit_list(
        self, node: _Node, items: _Node, new: list[Any], old: Any, path: str, correlation: _Correlation | None,
        is_exact: bool,
    ) -> None:  # fmt: skip
        by_key: dict[tuple[Any, ...], Any] = {}
        if node.map_keys and isinstance(old, list):
            by_key = {_key(v, node.map_keys): v for v in old}
        for place, value in enumerate(new):
            before = by_key.get(_key(value, node.map_keys), _MISSING) if by_key else _MISSING
            inner = correlation.at(value, before) if correlation is not None and is_exact else None
            self.visit(
                items, value, None if before is _MISSING else before, f"{path}[{place}]",
                inner or correlation, inner is not None,
            )  # fmt: skip

    def _visit_map(
        self, node: _Node, new: dict[str, Any], old: Any, path: str, correlation: _Correlation | None, is_exact: bool
    ) -> None:
        stored = old if isinstance(old, dict) else {}
        for name in sorted(new) if node.values is not None else [n for n in node.properties if n in new]:
            child = node.values or node.properties[name]
            before = stored.get(name, _MISSING)
            inner = correlation.at(new[name], before) if correlation is not None and is_exact else None
            self.visit(
                child, new[name], None if before is _MISSING else before,
                f"{path}[{name}]" if node.values is not None else f"{path}.{name}" if path else name,
                inner or correlation, inner is not None,
            )  # fmt: skip

    def _evaluate(self, node: _Node, new: Any, old: Any, path: str, correlation: _Correlation | None) -> None:
        if self.budget <= 0:
            self._stop(path, node, _OUT_OF_BUDGET)
        convert = node.convert
        self_value = convert(new) if convert else new
        old_value = (
            (convert(old) if convert else old) if old is not None and any(r.uses_old for r in node.rules) else None
        )
        for rule in node.rules:
            if rule.program is None:
                self.faults.append(_invalid(path, node.type, f"rule compile error: {rule.fault}"))
            elif not rule.uses_old or old is not None or rule.is_optional:
                values = (self_value, _old_self(rule, old, old_value))
                if self._is_broken(rule, rule.program, values, node, path):
                    self._refuse(rule, values, node, new, path, correlation)

    def _is_broken(self, rule: _Rule, program: Program, values: tuple[Any, Any], node: _Node, path: str) -> bool:
        try:
            found, cost = program.evaluate(*values)
        except CostExceeded:
            text = "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to "
            self._stop(path, node, f"{text}call cost exceeds limit for rule: {rule.shown()}")
        except EvalFault as fault:
            self._spend(getattr(fault, "cost", 0), path, node)
            self.faults.append(_invalid(path, node.type, _explained(fault, rule)))
            return False
        self._spend(cost, path, node)
        return found is not True

    def _spend(self, cost: int, path: str, node: _Node) -> None:
        if cost > self.budget:
            self._stop(path, node, _OUT_OF_BUDGET)
        self.budget -= cost
        if BUDGET - self.budget > loop_time.cel_units():
            raise loop_time.TooLong

    def _stop(self, path: str, node: _Node, text: str) -> Any:
        self.faults.append(_invalid(path, node.type, text))
        raise _OutOfBudget

    def _refuse(
        self, rule: _Rule, values: tuple[Any, Any], node: _Node, new: Any, path: str, correlation: _Correlation | None
    ) -> None:
        message = self._message(rule, values, path, node) or rule.default_message()
        if not rule.uses_old and correlation is not None and correlation.is_unchanged():
            return
        where = f"{path}{rule.field}" if path else rule.field.lstrip(".")
        self.faults.append(_fault(where, rule.raw.get("reason"), new, node.type, message))

    def _message(self, rule: _Rule, values: tuple[Any, Any], path: str, node: _Node) -> str:
        """What messageExpression says, if that can be used."""
        if rule.message is None:
            return ""
        try:
            found, cost = rule.message.evaluate(*values)
        except CostExceeded:
            expression = rule.raw["messageExpression"]
            text = "no further validation rules will be run due to call cost exceeds limit for messageExpression: "
            self._stop(path, node, f'{text}"{expression}"')
        except EvalFault as fault:
            self.budget -= getattr(fault, "cost", 0)
            return ""
        if cost > self.budget:
            self._stop(path, node, "messageExpression evaluation failed due to running out of cost budget, no "
                       "further validation rules will be run")  # fmt: skip
        self.budget -= cost
        text = found.strip() if isinstance(found, str) else ""
        return "" if len(text.encode()) > MESSAGE_LIMIT or "\n" in text else text


def _old_self(rule: _Rule, old: Any, value: Any) -> Any:
    if rule.is_optional:
        return NONE if old is None else Optional(True, value)
    return value


def _key(value: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(value.get(n) for n in names) if isinstance(value, dict) else ()


def _explained(fault: EvalFault, rule: _Rule) -> str:
    if str(fault).startswith("no such overload"):
        text = "call arguments did not match a supported operator, function or macro signature for rule: "
        return f"'{fault}': {text}{rule.shown()}"
    return f"{fault} evaluating rule: {rule.shown()}"


def _invalid(path: str, type_: str, text: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", f'Invalid value: "{type_}": {text}')


def _fault(path: str, reason: str | None, value: Any, type_: str, message: str) -> FieldError:
    shown = OMITTED if type_ in ("object", "array") else value
    match reason:
        case "FieldValueForbidden":
            return forbidden(path, message)
        case "FieldValueRequired":
            return required(path, message)
        case "FieldValueDuplicate":
            return FieldError(path, reason, _with_value("Duplicate value", shown))
    return FieldError(path, "FieldValueInvalid", _with_value("Invalid value", shown) + f": {message}")


def _with_value(words: str, value: Any) -> str:
    return f"{words}: {orjson.dumps(value).decode()}" if value is not OMITTED else words


__all__ = ["BUDGET", "Rules", "check_schema", "compile_rules"]
