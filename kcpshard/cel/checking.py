"""The type check: which overloads a call may mean, what type each node has, and every fault with its place.

Errors are worded and drawn as the reference implementation does, because kube-apiserver hands them to its users.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.cel import syntax
from kcpshard.cel.declarations import FUNCTIONS, NAMESPACED, PATCH_FUNCTIONS, TYPE_NAMES
from kcpshard.cel.functions import pattern
from kcpshard.cel.syntax import Call, Fold, Ident, ListLiteral, Literal, MapLiteral, Node, Select, StructLiteral
from kcpshard.cel.types import (
    ANY_ATTRIBUTE,
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    Bindings,
    Type,
    assignable,
    list_of,
    map_of,
    more_general,
    optional_of,
    patch_type,
    resolve,
    shown,
    type_of,
)  # fmt: skip
from kcpshard.cel.values import Duration, EvalFault, UInt, parse_duration, parse_timestamp


class Issue(NamedTuple):
    offset: int
    message: str


class Checked(NamedTuple):
    """An expression whose nodes know their types."""

    root: Node
    names: frozenset[str]  # variables it mentions


class CompileFault(Exception):
    """What is wrong with an expression, drawn for its author."""


def check(text: str, variables: Mapping[str, Type], *, makes_patches: bool = False, binds: bool = False) -> Checked:
    """Parse and check. A variable's name may have dots. `makes_patches` admits the types and functions of mutating
    policies, `binds` the macro cel.bind. Raises CompileFault."""
    try:
        root = syntax.parse(text, binds=binds)
    except syntax.SyntaxFault as fault:
        raise CompileFault(_drawn(text, [Issue(fault.offset, fault.message)])) from None
    except RecursionError:
        raise CompileFault(_drawn(text, [Issue(0, "expression recursion limit exceeded: 250")])) from None
    if _is_too_deep(root):
        raise CompileFault(_drawn(text, [Issue(0, "expression recursion limit exceeded: 250")]))
    checker = _Checker(variables, makes_patches)
    checker.visit(root)
    if not checker.issues:
        checker.settle(root)
        checker.check_uniform()
    if checker.issues:
        raise CompileFault(_drawn(text, sorted(checker.issues)))
    return Checked(root, frozenset(checker.names))


# Deeper trees would end Python's stack in a walk; the reference's limit is 250.
_MAX_TREE_DEPTH = 150


def _is_too_deep(root: Node) -> bool:
    level, depth = [root], 0
    while level:
        depth += 1
        level = [child for node in level for child in children(node)]
        if depth > _MAX_TREE_DEPTH:
            return True
    return False


def _drawn(text: str, issues: list[Issue]) -> str:
    return "\n".join(_draw(text, issue) for issue in issues)


def _draw(text: str, issue: Issue) -> str:
    start = text.rfind("\n", 0, issue.offset) + 1
    line, column = text.count("\n", 0, issue.offset) + 1, issue.offset - start
    end = text.find("\n", start)
    shown_line = text[start : end if end >= 0 else len(text)].replace("\t", " ")
    return f"ERROR: <input>:{line}:{column + 1}: {issue.message}\n | {shown_line}\n | {'.' * column}^"


class _Checker:
    def __init__(self, variables: Mapping[str, Type], makes_patches: bool) -> None:
        self._makes_patches = makes_patches
        self._scopes: list[Mapping[str, Type]] = [variables]
        self._bindings: Bindings = {}
        self._is_mixed_allowed = False  # within the arguments of `format`
        self._uniform: list[Sequence[Node]] = []  # elements of one literal each, which must be of one type
        self.issues: list[Issue] = []
        self.names: set[str] = set()

    def visit(self, node: Node) -> Type:
        found: Type = _VISITS[type(node)](self, node)
        node.type = found
        return found

    def settle(self, node: Node) -> None:
        """Replace what stood for yet unknown types, and look at literals that are read at compile time."""
        for child in children(node):
            self.settle(child)
        node.type = resolve(node.type, self._bindings)
        if isinstance(node, Call):
            self._literal_arguments(node)

    def _fault(self, node: Node, message: str) -> Type:
        self.issues.append(Issue(node.offset, message))
        return ERROR

    def _lookup(self, name: str) -> Type | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def literal(self, node: Literal) -> Type:
        return _literal_type(node.value)

    def ident(self, node: Ident) -> Type:
        found = self._lookup(node.name)
        if found is not None:
            self.names.add(node.name)
            return found
        if node.name in TYPE_NAMES:
            return type_of(TYPE_NAMES[node.name])
        return self._fault(node, f"undeclared reference to '{node.name}' (in container '')")

    def select(self, node: Select) -> Type:
        name = dotted(node)
        if name and (variable := self._lookup(name)) is not None:
            node.qualified = name
            self.names.add(name)
            return variable
        if name in TYPE_NAMES and not node.test_only and self._lookup(name.partition(".")[0]) is None:
            node.qualified = name
            _root_of(node).type = DYN
            return type_of(TYPE_NAMES[name])
        operand = self.visit(node.operand)
        found = self._field(node, operand, node.field)
        return BOOL if node.test_only else found

    def _field(self, node: Node, operand: Type, name: str) -> Type:
        operand = resolve(operand, self._bindings)
        if operand.kind == "optional":
            inner = self._field(node, operand.params[0], name)
            return inner if inner.kind == "optional" else optional_of(inner)
        match operand.kind:
            case "map":
                return operand.params[1]
            case "struct":
                assert operand.fields is not None
                found = operand.fields.get(name)
                return found if found is not None else self._fault(node, f"undefined field '{name}'")
            case "param" | "dyn" | "!error!":
                if operand.kind == "param":
                    assignable(operand, DYN, self._bindings)
                return DYN if operand.kind != "!error!" else ERROR
        if operand.kind == "opaque":
            return self._fault(node, f"unexpected failed resolution of '{operand}'")
        return self._fault(node, f"type '{operand}' does not support field selection")

    def call(self, node: Call) -> Type:
        if node.function == "_?._":
            return self._optional_select(node)
        if node.target is not None:
            name = f"{found}.{node.function}" if (found := dotted(node.target)) else ""
            is_known = name in NAMESPACED and (self._makes_patches or name not in PATCH_FUNCTIONS)
            if is_known and self._lookup(name.partition(".")[0]) is None:
                node.function, node.target = name, None
        self._is_mixed_allowed = (was := self._is_mixed_allowed) or node.function == "format"
        args = [self.visit(a) for a in ([node.target] if node.target is not None else []) + node.args]
        self._is_mixed_allowed = was
        if node.function not in FUNCTIONS or (node.function in PATCH_FUNCTIONS and not self._makes_patches):
            return self._fault(node, f"undeclared reference to '{node.function}' (in container '')")
        if node.function in ("_&&_", "_||_"):
            for argument, given in zip(node.args, args, strict=True):
                self._want(argument, given, BOOL)
        return self._resolve(node, args)

    def _optional_select(self, node: Call) -> Type:
        operand = resolve(self.visit(node.args[0]), self._bindings)
        self.visit(node.args[1])
        name = node.args[1]
        assert isinstance(name, Literal)
        found = self._field(node, operand, name.value)
        return found if found.kind == "optional" else optional_of(found)

    def _resolve(self, node: Call, args: list[Type]) -> Type:
        member = node.target is not None
        possible, result = [], None
        for overload in FUNCTIONS[node.function]:
            if overload.member != member or len(overload.params) != len(args):
                continue
            fresh = {v: Type("param", v.name) for v in overload.variables}
            trial = dict(self._bindings)
            wanted = [resolve(p, fresh) for p in overload.params]
            if not all(assignable(given, want, trial) for given, want in zip(args, wanted, strict=True)):
                continue
            possible.append(overload)
            found = resolve(resolve(overload.result, fresh), trial)
            if result is None:
                self._bindings, result = trial, found
            elif not _same(found, result):
                result = DYN
        if result is None:
            return self._no_overload(node, args)
        node.overloads = tuple(possible)
        return result

    def _no_overload(self, node: Call, args: list[Type]) -> Type:
        types = [_substituted(t, self._bindings) for t in args]
        if node.function in ("_&&_", "_||_") or any(t.kind == "!error!" for t in types):
            return ERROR
        applied = f"{types[0]}.({shown(types[1:])})" if node.target is not None else f"({shown(types)})"
        return self._fault(node, f"found no matching overload for '{node.function}' applied to '{applied}'")

    def list(self, node: ListLiteral) -> Type:
        element: Type | None = None
        for place, child in enumerate(node.elements):
            found = self.visit(child)
            if place in node.optional:
                found = self._unwrapped(child, found)
            element = self._joined(child, element, found)
        self._note_uniform([child for place, child in enumerate(node.elements) if place not in node.optional])
        return list_of(element or Type("param", "elem"))

    def _note_uniform(self, elements: Sequence[Node]) -> None:
        if not self._is_mixed_allowed and len(elements) > 1:
            self._uniform.append(elements)

    def check_uniform(self) -> None:
        """What may be anything does not stand beside what is known; told once types are settled."""
        for elements in self._uniform:
            first = elements[0].type
            for other in elements[1:]:
                if (first.kind == "dyn") is not (other.type.kind == "dyn"):
                    self._fault(other, f"expected type '{first}' but found '{other.type}'")
                    break

    def _unwrapped(self, node: Node, found: Type) -> Type:
        found = resolve(found, self._bindings)
        if found.kind == "optional":
            return found.params[0]
        if found.kind in ("dyn", "!error!"):
            return found
        return self._fault(node, f"expected type 'optional_type({found})' but found '{found}'")

    def _joined(self, node: Node, before: Type | None, found: Type) -> Type:
        """Aggregates hold values of one type."""
        if before is None or before.kind == "!error!":
            return found
        trial = dict(self._bindings)
        if assignable(found, before, trial):
            self._bindings = trial
            return more_general(before, found)
        if self._is_mixed_allowed:
            return DYN
        return self._fault(node, f"expected type '{before}' but found '{found}'")

    def map(self, node: MapLiteral) -> Type:
        key: Type | None = None
        value: Type | None = None
        for key_node, value_node, optional in node.entries:
            key = self._joined(key_node, key, self.visit(key_node))
            found = self.visit(value_node)
            if optional:
                found = self._unwrapped(value_node, found)
            value = self._joined(value_node, value, found)
        self._note_uniform([key for key, _, _ in node.entries])
        self._note_uniform([child for _, child, optional in node.entries if not optional])
        return map_of(key or Type("param", "key"), value or Type("param", "value"))

    def struct(self, node: StructLiteral) -> Type:
        found = patch_type(node.name) if self._makes_patches else None
        if found is None:
            for _, value, _, _ in node.fields:
                self.visit(value)
            return self._fault(node, f"undeclared reference to '{node.name}' (in container '')")
        assert found.fields is not None
        for name, value, optional, colon in node.fields:
            given = self.visit(value)
            if optional:
                given = self._unwrapped(value, given)
            wanted = found.fields.get(name)
            if wanted is None or not assignable(given, wanted, self._bindings):
                text = f"expected type of field '{name}' is '{wanted or ''}' but provided type is '{given}'"
                self.issues.append(Issue(colon, text))
        return found

    def fold(self, node: Fold) -> Type:
        range_ = resolve(self.visit(node.range), self._bindings)
        init = self.visit(node.init)
        scope = {node.accumulator: init, **self._iterated(node, range_)}
        self._scopes.append({node.accumulator: init})
        self._scopes.append(scope)
        self._want(node.condition, self.visit(node.condition), BOOL)
        self._want(node.step, self.visit(node.step), init)
        self._scopes.pop()
        found = self.visit(node.result)
        self._scopes.pop()
        return resolve(found, self._bindings)

    def _iterated(self, node: Fold, range_: Type) -> dict[str, Type]:
        match range_.kind:
            case "list":
                names = (INT, range_.params[0]) if node.variable2 else (range_.params[0], DYN)
            case "map":
                names = (range_.params[0], range_.params[1])
            case "dyn" | "!error!" | "param" if range_ is not ANY_ATTRIBUTE:
                names = (DYN, DYN)
            case _:
                self._fault(
                    node.range, f"expression of type '{range_}' cannot be range of a comprehension "
                    "(must be list, map, or dynamic)",
                )  # fmt: skip
                names = (ERROR, ERROR)
        found = {node.variable: names[0]}
        if node.variable2:
            found[node.variable2] = names[1]
        return found

    def _want(self, node: Node, found: Type, wanted: Type) -> None:
        if not assignable(found, wanted, self._bindings):
            found = resolve(found, self._bindings)
            self._fault(node, f"expected type '{resolve(wanted, self._bindings)}' but found '{found}'")

    def _literal_arguments(self, node: Call) -> None:
        """Durations, timestamps and patterns that are written out are read now."""
        last = node.args[-1] if node.args else None
        if not isinstance(last, Literal) or not isinstance(last.value, str):
            return
        readers = {"duration": parse_duration, "timestamp": parse_timestamp}
        if node.function in readers:
            try:
                readers[node.function](last.value)
            except ValueError:
                self._fault(last, f"invalid {node.function} argument")
        elif node.function == "matches":
            try:
                pattern(last.value)
            except EvalFault:
                self._fault(last, "invalid matches argument")


_VISITS: dict[type, Any] = {
    Literal: _Checker.literal, Ident: _Checker.ident, Select: _Checker.select, Call: _Checker.call,
    ListLiteral: _Checker.list, MapLiteral: _Checker.map, StructLiteral: _Checker.struct, Fold: _Checker.fold,
}  # fmt: skip


def children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [] if node.qualified else [node.operand]
        case Call():
            return [*([node.target] if node.target is not None else []), *node.args]
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return [n for key, value, _ in node.entries for n in (key, value)]
        case StructLiteral():
            return [value for _, value, _, _ in node.fields]
        case Fold():
            return [node.range, node.init, node.condition, node.step, node.result]
    return []


def dotted(node: Node) -> str:
    """a.b.c as it is written, if the node is no more than that."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test_only and (before := dotted(node.operand)):
        return f"{before}.{node.field}"
    return ""


def _root_of(node: Node) -> Node:
    while isinstance(node, Select):
        node = node.operand
    return node


def _literal_type(value: object) -> Type:
    match value:
        case bool():
            return BOOL
        case UInt():
            return UINT
        case int():
            return INT
        case float():
            return DOUBLE
        case str():
            return STRING
        case bytes():
            return BYTES
        case Duration():
            return DYN
    return NULL


def _same(one: Type, two: Type) -> bool:
    if one is two:
        return True
    return (
        one.kind == two.kind
        and one.name == two.name
        and len(one.params) == len(two.params)
        and all(map(_same, one.params, two.params))
    )


def _substituted(found: Type, bindings: Bindings) -> Type:
    """As error messages show a type: what is not known yet is dyn."""
    found = resolve(found, bindings)
    if found.kind == "param":
        return DYN
    if not found.params:
        return found
    return Type(found.kind, found.name, tuple(_substituted(p, bindings) for p in found.params), fields=found.fields)
