"""What two schemas say of a value beside its structure (bounds, patterns, enums, junctors), and what both say. Pure.

Each rule of the two is kept or tightened, never loosened: a value that satisfies `met` satisfies both.
"""

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, NamedTuple

import orjson

Raw = Mapping[str, Any]
IDIOM = [{"type": "integer"}, {"type": "string"}]  # what int-or-string may say of itself in anyOf
_UPPER = ("maxLength", "maxItems", "maxProperties")
_LOWER = ("minLength", "minItems", "minProperties")
_CONJUNCTS = ("pattern", "not", "anyOf", "oneOf")
KEYWORDS = frozenset(
    (*_UPPER, *_LOWER, *_CONJUNCTS, "allOf", "enum", "format", "uniqueItems", "multipleOf", "x-kubernetes-validations",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
)  # fmt: skip
# Values of these are smaller than of those to their right; what is not named (float, double) says nothing of integers.
_INTEGERS = ("int32", "int64", "")


class Tightened(NamedTuple):
    """A rule that the existing schema does not have, or has in a looser form."""

    rule: str
    said: str


class Meeting(NamedTuple):
    """`met` holds the rules of both. `conflicts`: nothing satisfies both, or nobody can say what does."""

    met: dict[str, Any]
    tightened: tuple[Tightened, ...]
    conflicts: tuple[Tightened, ...]


def meet_rules(existing: Raw, new: Raw, kinds: frozenset[str]) -> Meeting:
    """`kinds`: the JSON types that values of both may have (`integer` and `fraction` apart)."""
    rules = _Rules(existing, new, kinds)
    rules.bounds()
    rules.intervals()
    rules.multiples()
    rules.formats()
    rules.enums()
    rules.conjuncts()
    rules.expressions()
    if existing.get("uniqueItems") or new.get("uniqueItems"):
        rules.met["uniqueItems"] = True
        if not existing.get("uniqueItems"):
            rules.tighten("uniqueItems", "items must be unique")
    return Meeting(rules.met, tuple(rules.tightened), tuple(rules.conflicts))


def canonical(value: Any) -> bytes:
    """Equal for equal JSON values; true and 1 differ, 1 and 1.0 do not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class _Rules:
    def __init__(self, existing: Raw, new: Raw, kinds: frozenset[str]) -> None:
        self.existing, self.new, self.kinds = existing, new, kinds
        self.met: dict[str, Any] = {}
        self.tightened: list[Tightened] = []
        self.conflicts: list[Tightened] = []

    def tighten(self, rule: str, said: str) -> None:
        self.tightened.append(Tightened(rule, said))

    def conflict(self, rule: str, said: str) -> None:
        self.conflicts.append(Tightened(rule, said))

    def bounds(self) -> None:
        """Of lengths and counts."""
        for names, choose in ((_UPPER, min), (_LOWER, max)):
            for name in names:
                values = [s[name] for s in (self.existing, self.new) if s.get(name) is not None]
                if values:
                    self.met[name] = choose(values)
                    if self.met[name] != self.existing.get(name):
                        self.tighten(name, f"{name} becomes {self.met[name]}, was {self.existing.get(name, 'not set')}")
        for low, high in zip(_LOWER, _UPPER, strict=True):
            if self.met.get(low, 0) > self.met.get(high, float("inf")):
                self.conflict(low, f"{low} {self.met[low]} and {high} {self.met[high]} exclude each other")

    def intervals(self) -> None:
        """Of numbers. Integers are compared with the whole part of a bound, so an open bound stays open for both."""
        for name, excluding, choose in (("minimum", "exclusiveMinimum", max), ("maximum", "exclusiveMaximum", min)):
            limits = [(s[name], bool(s.get(excluding))) for s in (self.existing, self.new) if s.get(name) is not None]
            if not limits:
                continue
            limit = choose(value for value, _ in limits)
            self.met[name] = limit
            if any(is_open and int(value) == int(limit) for value, is_open in limits):
                self.met[excluding] = True
            was = (self.existing.get(name), bool(self.existing.get(excluding)))
            if was != (limit, bool(self.met.get(excluding))):
                self.tighten(name, f"{name} becomes {limit}, was {'not set' if was[0] is None else was[0]}")
        low, high = self.met.get("minimum"), self.met.get("maximum")
        if low is not None and high is not None:
            is_open = "exclusiveMinimum" in self.met or "exclusiveMaximum" in self.met
            if low > high or (low == high and is_open):
                self.conflict("minimum", f"minimum {low} and maximum {high} exclude each other")

    def multiples(self) -> None:
        first, second = self.existing.get("multipleOf"), self.new.get("multipleOf")
        met: Any
        if first is None and second is None:
            return
        if first is not None and second is not None and first != second:
            if not (float(first).is_integer() and float(second).is_integer()):
                self.conflict("multipleOf", f"multipleOf {first} and {second} have no known common multiple")
                return
            met = int(first) * int(second) // gcd(int(first), int(second))
        else:
            met = first if second is None else second
        self.met["multipleOf"] = met
        if met != first:
            self.tighten("multipleOf", f"multipleOf becomes {met}, was {first or 'not set'}")

    def formats(self) -> None:
        first, second = self.existing.get("format") or "", self.new.get("format") or ""
        if self.kinds <= {"integer", "fraction"}:
            met = self._number_format(first, second)
        elif first and second and first != second:
            self.conflict("format", f"format changed from {first} to {second}")
            return
        else:
            met = first or second
        if met:
            self.met["format"] = met
        if met != first and second == met:
            self.tighten("format", f"format becomes {met}, was {first or 'not set'}")

    def _number_format(self, first: str, second: str) -> str:
        """double and float bound nothing that an integer bound would not bound more narrowly."""
        if first == second or ("fraction" in self.kinds and second not in _INTEGERS[:2]):
            return first
        ranks = [_INTEGERS.index(f) if f in _INTEGERS else len(_INTEGERS) - 1 for f in (first, second)]
        return first if ranks[0] <= ranks[1] else second

    def enums(self) -> None:
        first, second = self.existing.get("enum"), self.new.get("enum")
        if first is None and second is None:
            return
        allowed = {canonical(value) for value in second} if second is not None else None
        source = first if first is not None else second
        met = [v for v in source or () if (allowed is None or canonical(v) in allowed) and self._is_of_kind(v)]
        if not met:
            self.conflict("enum", "no value is in both enums")
            return
        self.met["enum"] = met
        if first is None:
            self.tighten("enum", f"only these values are left: {_shown(met)}")
        elif len(met) < len(first):
            kept = {canonical(value) for value in met}
            self.tighten("enum", f"values removed: {_shown(v for v in first if canonical(v) not in kept)}")

    def _is_of_kind(self, value: Any) -> bool:
        return value is None or kind_of(value) in self.kinds

    def conjuncts(self) -> None:
        """What must all hold: `pattern`, `not`, `anyOf`, `oneOf`, and each member of `allOf`."""
        first, second = (_conjuncts(s) for s in (self.existing, self.new))
        for key, (keyword, value) in second.items():
            if key not in first:
                self.tighten(keyword, f"{keyword} {_shown([value])} is demanded in addition")
        for keyword, value in {**first, **second}.values():
            if keyword != "allOf" and keyword not in self.met:
                self.met[keyword] = value
            else:
                self.met.setdefault("allOf", []).append(value if keyword == "allOf" else {keyword: value})

    def expressions(self) -> None:
        """CEL rules, told apart by their text."""
        first, second = (s.get("x-kubernetes-validations") or () for s in (self.existing, self.new))
        known = {rule.get("rule") for rule in first}
        added = [rule for rule in second if rule.get("rule") not in known]
        if first or added:
            self.met["x-kubernetes-validations"] = [*first, *added]
        for rule in added:
            self.tighten("x-kubernetes-validations", f"rule {rule.get('rule')} is demanded in addition")


def _conjuncts(schema: Raw) -> dict[bytes, tuple[str, Any]]:
    """By content. The idiom of int-or-string is no demand beside its type."""
    found: dict[bytes, tuple[str, Any]] = {}
    for keyword in _CONJUNCTS:
        value = schema.get(keyword)
        if value is not None and not (keyword == "anyOf" and value == IDIOM):
            found[canonical({keyword: value})] = (keyword, value)
    for member in schema.get("allOf") or ():
        if member == {"anyOf": IDIOM}:
            continue
        if len(member) == 1 and (keyword := next(iter(member))) in _CONJUNCTS:
            found[canonical(member)] = (keyword, member[keyword])
        else:
            found[canonical(member)] = ("allOf", member)
    return found


def kind_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "fraction"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _shown(values: Iterator[Any] | list[Any]) -> str:
    return ", ".join(value if isinstance(value, str) else orjson.dumps(value).decode() for value in values)
