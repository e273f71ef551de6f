"""The most that an expression could ever cost, by what its schema allows.

kube-apiserver refuses definitions whose rules could become too expensive, so the figures are part of the API: sizes
come from maxItems, maxLength and maxProperties, loops multiply, branches take the dearer side. What a call costs when
it is made is `runtime_cost`'s.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from kcpshard.cel.checking import Checked
from kcpshard.cel.syntax import RESULT, Call, Fold, Ident, ListLiteral, Literal, MapLiteral, Node, Select
from kcpshard.cel.types import ANY_ATTRIBUTE, SCALARS, STRING, Type

INFINITE = (1 << 64) - 1
Path = tuple[str, ...]


class Range(NamedTuple):
    """From least to most, of a size or of a cost. Stops at INFINITE."""

    least: int
    most: int

    def plus(self, other: "Range") -> "Range":
        return Range(min(INFINITE, self.least + other.least), min(INFINITE, self.most + other.most))

    def times(self, other: "Range") -> "Range":
        return Range(min(INFINITE, self.least * other.least), min(INFINITE, self.most * other.most))

    def scaled(self, factor: float) -> "Range":
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: "Range") -> "Range":
        return Range(min(self.least, other.least), max(self.most, other.most))


def _scaled(amount: int, factor: float) -> int:
    found = amount * factor
    return INFINITE if found >= INFINITE else math.ceil(found)


ZERO, ONE, UNKNOWN = Range(0, 0), Range(1, 1), Range(0, INFINITE)


class _Entries(NamedTuple):
    """The sizes of the keys and values of a container that the expression itself makes."""

    kind: str
    key: Range
    value: Range

    def union(self, other: "_Entries") -> "_Entries":
        return _Entries(self.kind, self.key.union(other.key), self.value.union(other.value))


class _Variable(NamedTuple):
    path: Path
    size: Range | None
    entries: _Entries | None


class _Estimate(NamedTuple):
    cost: Range
    size: Range | None = None


def estimate(checked: Checked, self_type: Type) -> int:
    """The most that evaluating the expression once can cost."""
    return _Pricer(self_type).cost(checked.root).most


class _Pricer:
    def __init__(self, self_type: Type) -> None:
        self._self = self_type
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entries] = {}
        self._variables: list[tuple[str, _Variable]] = []

    def cost(self, node: Node) -> Range:
        match node:
            case Ident():
                variable = self._lookup(node.name)
                self._paths[id(node)] = variable.path if variable else (node.name,)
                return ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return self._list(node)
            case MapLiteral():
                return self._map(node)
            case Fold():
                return self._bind(node) if node.accumulator != RESULT else self._fold(node)
        return ZERO

    def _lookup(self, name: str) -> _Variable | None:
        return next((v for n, v in reversed(self._variables) if n == name), None)

    def _path(self, node: Node) -> Path:
        return self._paths.get(id(node), ())

    def _select(self, node: Select) -> Range:
        if node.qualified:
            self._paths[id(node)] = (node.qualified,)
            return ONE
        total = self.cost(node.operand)
        if node.test_only:
            return total
        self._paths[id(node)] = (*self._path(node.operand), node.field)
        return total.plus(ONE) if node.operand.type.kind in ("map", "struct", "param") else total

    def _list(self, node: ListLiteral) -> Range:
        total, size = Range(10, 10), Range(INFINITE if node.elements else 0, 0)
        for element in node.elements:
            total = total.plus(self.cost(element))
            size = size.union(self.size(element))
        self._entries[id(node)] = _Entries("list", ONE, size)
        return total

    def _map(self, node: MapLiteral) -> Range:
        total = Range(30, 30)
        keys = values = Range(INFINITE if node.entries else 0, 0)
        for key, value, _ in node.entries:
            total = total.plus(self.cost(key)).plus(self.cost(value))
            keys, values = keys.union(self.size(key)), values.union(self.size(value))
        self._entries[id(node)] = _Entries("map", keys, values)
        return total

    def _fold(self, node: Fold) -> Range:
        total = self.cost(node.range).plus(self.cost(node.init))
        init = _Variable(self._path(node.init), self._known_size(node.init), self.entries(node.init))
        self._variables.append((node.accumulator, init))
        iterated = self._iterated(node)
        self._variables += iterated
        each = self.cost(node.condition).plus(self.cost(node.step))
        del self._variables[-len(iterated) :]
        total = total.plus(self.cost(node.result))
        self._variables.pop()
        count = self.size(node.range)
        if isinstance(node.init, Literal):
            self._sizes[id(node)] = self.size(node.init)
        elif isinstance(node.init, ListLiteral | MapLiteral):
            self._sizes[id(node)] = count
            if (entries := self.entries(node.step)) is not None:
                self._entries[id(node)] = entries
        return total.plus(count.times(each))

    def _iterated(self, node: Fold) -> list[tuple[str, _Variable]]:
        entries, path = self.entries(node.range), self._path(node.range)
        is_list = (entries.kind if entries else node.range.type.kind) == "list"
        key, value = (entries.key, entries.value) if entries else (None, None)
        values = _Variable((*path, "@items" if is_list else "@values"), value, None)
        keys = _Variable((*path, "@indices" if is_list else "@keys"), key, None)
        if node.variable2:
            return [(node.variable, keys), (node.variable2, values)]
        return [(node.variable, values if is_list else keys)]

    def _bind(self, node: Fold) -> Range:
        total = self.cost(node.range).plus(self.cost(node.init))
        bound = _Variable(self._path(node.init), self._known_size(node.init), self.entries(node.init))
        self._variables.append((node.accumulator, bound))
        total = total.plus(self.cost(node.result))
        self._variables.pop()
        if (size := self._known_size(node.result)) is not None:
            self._sizes[id(node)] = size
        return total

    def entries(self, node: Node) -> _Entries | None:
        if id(node) in self._entries:
            return self._entries[id(node)]
        variable = self._lookup(node.name) if isinstance(node, Ident) else None
        return variable.entries if variable else None

    def size(self, node: Node) -> Range:
        return self._known_size(node) or UNKNOWN

    def _known_size(self, node: Node) -> Range | None:
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if (found := _literal_size(node)) is not None:
            return found
        if (found := self._schema_size(self._path(node))) is not None:
            return found
        kind = node.type.params[0] if node.type.kind == "optional" else node.type
        if kind.kind in SCALARS:
            return ONE
        variable = self._lookup(node.name) if isinstance(node, Ident) else None
        return variable.size if variable else None

    def _schema_size(self, path: Path) -> Range | None:
        """What the schema says of the place that a path leads to. A path starts with a variable."""
        if not path:
            return None
        found: Type | None = self._self
        for name in path[1:]:
            found = _step(found, name)
            if found is None:
                return None
        assert found is not None
        return Range(0, found.size)

    def _call(self, node: Call) -> Range:
        if node.function == "dyn":
            total = self.cost(node.args[0]).plus(ONE)
            if (size := self._known_size(node.args[0])) is not None:
                self._sizes[id(node)] = size
            return total
        costs = [self.cost(a) for a in node.args]
        total = self.cost(node.target) if node.target is not None else ZERO
        if node.function == "_?._":
            return total.plus(costs[0]).plus(ONE)
        dearest, size = Range(INFINITE, 0), None
        for overload in node.overloads:
            found = self._overload(node, overload.id, costs)
            dearest = dearest.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            if overload.id in ("index_list", "index_map"):
                container = node.args[0]
                size = entries.value if (entries := self.entries(container)) is not None else None
                last = "@items" if overload.id == "index_list" else "@values"
                self._paths[id(node)] = (*self._path(container), last)
            if size is None:
                size = self._known_size(node)
        if size is not None:
            self._sizes[id(node)] = size
        return total.plus(dearest)

    def _overload(self, node: Call, overload: str, costs: list[Range]) -> _Estimate:
        spent = ZERO
        for cost in costs:
            spent = spent.plus(cost)
        match node.function:
            case "_&&_" | "_||_":
                return _Estimate(Range(costs[0].least, costs[0].plus(costs[1]).most))
            case "_?_:_":
                return self._conditional(node, costs)
        priced = _PRICES.get(overload) or _PRICES.get(node.function)
        found = priced(self, node, overload) if priced is not None else _Estimate(ONE)
        return _Estimate(found.cost.plus(spent), found.size)

    def _conditional(self, node: Call, costs: list[Range]) -> _Estimate:
        _, yes, no = node.args
        one, two = self.entries(yes), self.entries(no)
        if one is not None and two is not None:
            self._entries[id(node)] = one.union(two)
        return _Estimate(costs[0].plus(costs[1].union(costs[2])), self.size(yes).union(self.size(no)))

    def element_size(self, container: Node) -> Range:
        """The size of a list's elements as the schema has it."""
        found = self._schema_size((*path, "@items")) if (path := self._path(container)) else None
        return found or UNKNOWN

    def note_joined(self, node: Call) -> Range:
        one, two = (self.entries(a) for a in node.args)
        if one is not None and two is not None:
            self._entries[id(node)] = one.union(two)
        return self.size(node.args[0]).plus(self.size(node.args[1]))


def _step(found: Type | None, name: str) -> Type | None:
    if found is None:
        return None
    if name in ("@items", "@values"):
        return found.params[-1] if found.kind in ("list", "map") else None
    if name == "@keys":
        return STRING if found.kind == "map" else None
    if found.kind == "map" and found.params[-1] is ANY_ATTRIBUTE:
        return ANY_ATTRIBUTE  # any name leads to one
    return found.fields.get(name) if found.fields is not None else None


def _literal_size(node: Node) -> Range | None:
    match node:
        case Literal():
            count = len(node.value) if isinstance(node.value, str | bytes) else 1
        case ListLiteral():
            count = len(node.elements)
        case MapLiteral():
            count = len(node.entries)
        case _:
            return None
    return Range(count, count)


Price = Callable[[_Pricer, Call, str], _Estimate]


def _subject(node: Call) -> Node:
    return node.target if node.target is not None else node.args[0]


def _walk(factor: float, keeps_size: bool = False) -> Price:
    """The cost of going once through what the function is called on."""

    def price(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
        size = pricer.size(_subject(node))
        return _Estimate(size.scaled(factor), size if keeps_size else None)

    return price


def _walk_elements(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    subject = _subject(node)
    size = pricer.size(subject)
    if not subject.type.params:
        return _Estimate(size.scaled(0.1))
    each = ONE
    if subject.type.params[0].kind in ("string", "bytes"):
        each = ONE.plus(pricer.element_size(subject).scaled(0.1))
    return _Estimate(size.times(each))


def _replace(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size, old, new = (pricer.size(n) for n in (_subject(node), *node.args[:2]))
    if old.least == 0:
        most, kept_most = min(INFINITE, size.most + 1), size.most
    elif new.most <= old.least:
        most, kept_most = 0, size.most
    else:
        most, kept_most = math.ceil(size.most / old.least), 0
    if old.most == 0:
        least, kept_least = min(INFINITE, size.least + 1), size.least
    elif old.most <= new.least:
        least, kept_least = 0, size.least
    else:
        least, kept_least = math.ceil(size.least / old.most), 0
    return _Estimate(size.scaled(0.2), Range(least, most).times(new).plus(Range(kept_least, kept_most)))


def _split(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size = pricer.size(_subject(node))
    most, limit = size.most, node.args[1] if len(node.args) > 1 else None
    if isinstance(limit, Literal) and isinstance(limit.value, int):
        most = limit.value & INFINITE
    return _Estimate(size.scaled(0.2), Range(0, most))


def _join(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    count = pricer.size(_subject(node))
    size = count.times(pricer.element_size(_subject(node)))
    if node.args:
        size = size.plus(pricer.size(node.args[0]).times(Range(max(0, count.least - 1), max(0, count.most - 1))))
    return _Estimate(size.scaled(0.1), size)


def _search(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    """Patterns: as if each four characters of one were a step for each ten of the text."""
    if node.target is None:
        return _Estimate(ONE)
    size = pricer.size(node.target)
    cost = size.plus(ONE).scaled(0.1).times(pricer.size(node.args[0]).scaled(0.25))
    return _Estimate(cost, None if node.function == "matches" else Range(0, size.most))


def _contains(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    return _Estimate(pricer.size(_subject(node)).scaled(0.1).times(pricer.size(node.args[0]).scaled(0.1)))


def _argument(factor: float) -> Price:
    return lambda pricer, node, overload: _Estimate(pricer.size(node.args[0]).scaled(factor))


def _prefix(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    return _Estimate(pricer.size(node.args[-1]).scaled(1 if overload == "in_list" else 0.1))


def _smaller(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    one, two = node.args
    if overload == "equals" and one.type.kind == "opaque" and two.type.kind == "opaque":
        return _Estimate(ONE)
    most = min(pricer.size(one).most, pricer.size(two).most)
    return _Estimate(Range(1 if most else 0, most).scaled(0.1))


def _add(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size = pricer.note_joined(node)
    return _Estimate(ONE if overload == "add_list" else size.scaled(0.1), size)


def _to_bytes(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size = pricer.size(node.args[0])
    return _Estimate(size.scaled(0.1), Range(size.least, min(INFINITE, size.most * 4)))


def _to_text(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size = pricer.size(node.args[0])
    return _Estimate(size.scaled(0.1), Range(size.least // 4, size.most))


def _quote(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    size = pricer.size(node.args[0])
    return _Estimate(size.scaled(0.1), Range(size.least + 2, min(INFINITE, size.most * 2 + 2)))


def _validate(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    return _Estimate(pricer.size(node.args[0]).scaled(0.1).scaled(128 * 0.25))


def _network(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    """Two addresses of 4 to 16 bytes are compared; a string is parsed first."""
    total = Range(8, 32).scaled(0.1)
    if node.function == "containsCIDR":
        total = total.plus(Range(4, 16).scaled(0.1)).plus(ONE)
    return _Estimate(total.plus(pricer.size(node.args[0]).scaled(0.1)) if overload.endswith("_string") else total)


def _listed(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    """What makes a new list: a price for the list and one for each of its elements."""
    size, depth = pricer.size(_subject(node)), 1
    if node.function == "slice":
        start, end = (n.value if isinstance(n, Literal) else None for n in node.args)
        length = (size.most if end is None else end) - (start or 0)
        size = Range(length % (INFINITE + 1), length % (INFINITE + 1))
    elif node.function == "lists.range":
        length = node.args[0].value if isinstance(node.args[0], Literal) else INFINITE
        size = Range(length % (INFINITE + 1), length % (INFINITE + 1))
    elif node.function == "flatten" and node.args:
        depth = node.args[0].value if isinstance(node.args[0], Literal) else INFINITE
    return _Estimate(size.scaled(depth).plus(Range(11, 11)), size)


def _compared(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    """What compares each element with each other."""
    by = node.args[0] if node.function == "@sortBy" else _subject(node)
    size = pricer.size(by).times(pricer.size(by))
    is_text = node.function != "distinct" and overload.startswith(("list_string", "list_bytes"))
    return _Estimate(size.scaled(2.1 if is_text else 2.0).plus(Range(11, 11)), size)


def _sets(pricer: _Pricer, node: Call, overload: str) -> _Estimate:
    product = pricer.size(node.args[0]).times(pricer.size(node.args[1]))
    return _Estimate(product.scaled(2 if node.function == "sets.equivalent" else 1).plus(ONE))


_ORDERS = ("less", "greater", "less_equals", "greater_equals")
_PRICES: dict[str, Any] = {
    **dict.fromkeys(("slice", "reverse", "lists.range", "flatten"), _listed),
    **dict.fromkeys(("distinct", "sort", "@sortBy"), _compared),
    **dict.fromkeys(("sets.contains", "sets.intersects", "sets.equivalent"), _sets),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _walk_elements),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim"), _walk(0.1, keeps_size=True)),
    "replace": _replace, "split": _split, "join": _join,
    **dict.fromkeys(("find", "findAll", "matches"), _search),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver", "string_to_ip"),
                    _argument(0.1)),
    "ip.isCanonical": _argument(0.2), "validate": _validate, "containsIP": _network, "containsCIDR": _network,
    "format": _walk(0.1), "string_to_bytes": _to_bytes, "bytes_to_string": _to_text, "strings.quote": _quote,
    "startsWith": _prefix, "endsWith": _prefix, "in_list": _prefix, "contains": _contains,
    **dict.fromkeys(("equals", "not_equals"), _smaller),
    **{f"{order}_{kind}": _smaller for order in _ORDERS for kind in ("string", "bytes")},
    **dict.fromkeys(("add_string", "add_bytes", "add_list"), _add),
}  # fmt: skip
