"""CEL source text as a tree: tokens, precedence, and the macros written out.

Decides only what the grammar of the CEL specification says. Macros (`has`, `all`, `exists`, `exists_one`, `map`,
`filter`, their two-variable forms, `optMap`, `optFlatMap`) become `Fold` nodes or calls, as the reference
implementation writes them out, because costs are defined on that form. The check of types is `checking`'s.
"""

import re
from collections.abc import Callable
from typing import Any

from kcpshard.cel.values import UInt

MAX_DEPTH = 60  # of nested expressions; Python's own stack ends before the reference's 250 would
MAX_LENGTH = 100_000
RESULT = "@result"
RESERVED = frozenset((
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
))  # fmt: skip
_TOKEN = re.compile(
    r"""[ \t\r\n\f]+|//[^\n]*"""
    r"""|(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)"""
    r"""|(?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])|(?P<int>0x[0-9a-fA-F]+|\d+)"""
    r"""|(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''"""
    r"""|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'))"""
    r"""|(?P<raw>(?:[rR][bB]?|[bB][rR])(?:"[^"\n\r]*"|'[^'\n\r]*'))"""
    r"""|(?P<ident>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>`[A-Za-z0-9_.\-/ ]+`)"""
    r"""|(?P<op>==|!=|<=|>=|&&|\|\||[\[\](){}.,:?+\-*/%<>!])""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:([0-3][0-7]{2})|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_PLAIN_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?", "`": "`",
}  # fmt: skip
_COMPARISONS = {"<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "@in"}


class SyntaxFault(Exception):
    """The text is not CEL. `offset` is where, in code points."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset


class Node:
    """`offset` is where the reference points when it complains about the node."""

    __slots__ = ("offset", "type")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.type: Any = None  # set by the check


class Literal(Node):
    __slots__ = ("value",)

    def __init__(self, offset: int, value: Any) -> None:
        super().__init__(offset)
        self.value = value


class Ident(Node):
    __slots__ = ("name",)

    def __init__(self, offset: int, name: str) -> None:
        super().__init__(offset)
        self.name = name


class Select(Node):
    __slots__ = ("field", "operand", "qualified", "test_only")

    def __init__(self, offset: int, operand: Node, field: str, test_only: bool = False) -> None:
        super().__init__(offset)
        self.operand, self.field, self.test_only = operand, field, test_only
        self.qualified = ""  # the whole dotted name, if that is a variable or a function's namespace


class Call(Node):
    """`overloads` are those the check found possible."""

    __slots__ = ("args", "function", "overloads", "target")

    def __init__(self, offset: int, function: str, args: list[Node], target: Node | None = None) -> None:
        super().__init__(offset)
        self.function, self.args, self.target = function, args, target
        self.overloads: tuple[Any, ...] = ()


class ListLiteral(Node):
    __slots__ = ("elements", "optional")

    def __init__(self, offset: int, elements: list[Node], optional: set[int]) -> None:
        super().__init__(offset)
        self.elements, self.optional = elements, optional


class MapLiteral(Node):
    """Entries are (key, value, whether the value is an optional)."""

    __slots__ = ("entries",)

    def __init__(self, offset: int, entries: list[tuple[Node, Node, bool]]) -> None:
        super().__init__(offset)
        self.entries = entries


class StructLiteral(Node):
    """Fields are (name, value, whether the value is an optional, where its colon is)."""

    __slots__ = ("fields", "name")

    def __init__(self, offset: int, name: str, fields: list[tuple[str, Node, bool, int]]) -> None:
        super().__init__(offset)
        self.name, self.fields = name, fields


class Fold(Node):
    """A comprehension: for each of `range`, while `condition`, `step` makes the next accumulator; then `result`."""

    __slots__ = ("accumulator", "condition", "init", "range", "result", "step", "variable", "variable2")

    def __init__(
        self, offset: int, variable: str, variable2: str, range_: Node, accumulator: str, init: Node,
        condition: Node, step: Node, result: Node,
    ) -> None:  # fmt: skip
        super().__init__(offset)
        self.variable, self.variable2, self.range, self.accumulator = variable, variable2, range_, accumulator
        self.init, self.condition, self.step, self.result = init, condition, step, result


def parse(text: str, *, binds: bool = False) -> Node:
    """The tree of an expression, or SyntaxFault. `binds` admits cel.bind(name, value, expression)."""
    if len(text) > MAX_LENGTH:
        raise SyntaxFault(f"expression code point size exceeds limit: size: {len(text)}, limit {MAX_LENGTH}", 0)
    return _Parser(text, binds).whole()


class _Parser:
    def __init__(self, text: str, binds: bool) -> None:
        self._text = text
        self._binds = binds
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        found = self._expression()
        if self._kind() != "end":
            raise self._unexpected("extraneous input", "<EOF>")
        return found

    # Tokens are (kind, text, offset).

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _is(self, *operators: str) -> bool:
        kind, text, _ = self._tokens[self._at]
        return kind == "op" and text in operators

    def _next(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, operator: str) -> bool:
        if self._is(operator):
            self._at += 1
            return True
        return False

    def _want(self, operator: str) -> int:
        if not self._is(operator):
            raise self._unexpected("missing '" + operator + "' at", "")
        return self._next()[2]

    def _unexpected(self, what: str, wanted: str) -> SyntaxFault:
        kind, text, offset = self._tokens[self._at]
        shown = "<EOF>" if kind == "end" else text
        return SyntaxFault(f"Syntax error: {what} '{shown}'" + (f" expecting {wanted}" if wanted else ""), offset)

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault(f"expression recursion limit exceeded: {MAX_DEPTH}", self._tokens[self._at][2])
        found = self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))
        if self._is("?"):
            offset = self._next()[2]
            yes = self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))
            self._want(":")
            found = Call(offset, "_?_:_", [found, yes, self._expression()])
        self._depth -= 1
        return found

    def _logical(self, operator: str, function: str, below: Callable[[], Node]) -> Node:
        terms, offsets = [below()], []
        while self._is(operator):
            offsets.append(self._next()[2])
            terms.append(below())
        return _balanced(function, terms, offsets, 0, len(offsets) - 1) if offsets else terms[0]

    def _relation(self) -> Node:
        found = self._sum()
        while True:
            kind, text, offset = self._tokens[self._at]
            if text not in _COMPARISONS or kind not in ("op", "ident"):
                return found
            self._at += 1
            found = Call(offset, _COMPARISONS[text], [found, self._sum()])

    def _sum(self) -> Node:
        found = self._product()
        while self._is("+", "-"):
            _, text, offset = self._next()
            found = Call(offset, f"_{text}_", [found, self._product()])
        return found

    def _product(self) -> Node:
        found = self._unary()
        while self._is("*", "/", "%"):
            _, text, offset = self._next()
            found = Call(offset, f"_{text}_", [found, self._unary()])
        return found

    def _unary(self) -> Node:
        if not self._is("!", "-"):
            return self._member()
        _, operator, offset = self._next()
        if operator == "-" and self._kind() in ("int", "float") and self._tokens[self._at][2] == offset + 1:
            self._at -= 1
            return self._member()
        count = 1
        while self._is(operator):
            self._at += 1
            count += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault(f"expression recursion limit exceeded: {MAX_DEPTH}", offset)
        operand = self._member()
        self._depth -= 1
        return operand if count % 2 == 0 else Call(offset, "!_" if operator == "!" else "-_", [operand])

    def _member(self) -> Node:
        found = self._primary()
        while True:
            if self._is("."):
                found = self._selection(found)
            elif self._is("["):
                offset = self._next()[2]
                function = "_[?_]" if self._take("?") else "_[_]"
                index = self._expression()
                self._want("]")
                found = Call(offset, function, [found, index])
            elif self._is("{") and (name := _dotted(found)):
                found = self._struct(name)
            else:
                return found

    def _selection(self, operand: Node) -> Node:
        offset = self._next()[2]
        optional = self._take("?")
        kind, name, _ = token = self._tokens[self._at]
        if kind not in ("ident", "quoted") or name in ("in", "true", "false", "null"):
            raise self._unexpected("no viable alternative at input", "")
        self._at += 1
        if kind == "quoted":
            raise SyntaxFault("unsupported syntax: '`'", offset + 1)
        if optional:
            return Call(offset, "_?._", [operand, Literal(token[2], name)])
        if not self._is("("):
            return Select(offset, operand, name)
        where = self._next()[2]
        arguments = self._arguments()
        if (
            self._binds
            and name == "bind"
            and len(arguments) == 3
            and isinstance(operand, Ident)
            and operand.name == "cel"
        ):
            if not isinstance(arguments[0], Ident):
                raise SyntaxFault("cel.bind() variable names must be simple identifiers", arguments[0].offset)
            return _named(where, arguments[0].name, arguments[1], arguments[2])
        return _member_macro(where, name, operand, arguments)

    def _arguments(self) -> list[Node]:
        found: list[Node] = []
        while not self._is(")"):
            found.append(self._expression())
            if not self._take(","):
                break
        self._want(")")
        return found

    def _struct(self, name: str) -> Node:
        offset, fields = self._next()[2], []
        while not self._is("}"):
            optional = self._take("?")
            kind, field, at = self._next()
            if kind == "quoted":
                raise SyntaxFault("unsupported syntax: '`'", at)
            colon = self._want(":")
            fields.append((field, self._expression(), optional, colon))
            if not self._take(","):
                break
        self._want("}")
        return StructLiteral(offset, name, fields)

    def _primary(self) -> Node:
        kind, text, offset = self._tokens[self._at]
        if kind == "op":
            return self._bracketed(text, offset)
        self._at += 1
        match kind:
            case "int" | "uint" | "float":
                return Literal(offset, _number(kind, text, offset))
            case "string" | "raw":
                return Literal(offset, _string(text, offset))
            case "ident":
                return self._named(text, offset)
        self._at -= 1
        raise self._unexpected("mismatched input", _STARTS)

    def _bracketed(self, text: str, offset: int) -> Node:
        match text:
            case "(":
                self._at += 1
                found = self._expression()
                self._want(")")
                return found
            case "[":
                self._at += 1
                return self._list(offset)
            case "{":
                self._at += 1
                return self._map(offset)
            case ".":
                self._at += 1
                return self._primary()
            case "-":
                self._at += 1
                kind, digits, _ = self._next()
                return Literal(offset, _number(kind, "-" + digits, offset))
        raise self._unexpected("mismatched input", _STARTS)

    def _named(self, name: str, offset: int) -> Node:
        if name in ("true", "false"):
            return Literal(offset, name == "true")
        if name == "null":
            return Literal(offset, None)
        if name == "in":
            self._at -= 1
            raise self._unexpected("mismatched input", _STARTS)
        if name in RESERVED:
            raise SyntaxFault(f"reserved identifier: {name}", offset)
        if not self._is("("):
            return Ident(offset, name)
        where = self._next()[2]
        args = self._arguments()
        return _has(where, args) if name == "has" and len(args) == 1 else Call(where, name, args)

    def _list(self, offset: int) -> Node:
        elements: list[Node] = []
        optional = set()
        while not self._is("]"):
            if self._take("?"):
                optional.add(len(elements))
            elements.append(self._expression())
            if not self._take(","):
                break
        self._want("]")
        return ListLiteral(offset, elements, optional)

    def _map(self, offset: int) -> Node:
        entries = []
        while not self._is("}"):
            optional = self._take("?")
            key = self._expression()
            self._want(":")
            entries.append((key, self._expression(), optional))
            if not self._take(","):
                break
        self._want("}")
        return MapLiteral(offset, entries)


_STARTS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found, at, end = [], 0, len(text)
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise SyntaxFault(f"Syntax error: token recognition error at: '{text[at]}'", at)
        if match.lastgroup:
            found.append((match.lastgroup, match.group(), at))
        at = match.end()
    found.append(("end", "", end))
    return found


def _balanced(function: str, terms: list[Node], offsets: list[int], low: int, high: int) -> Node:
    """A long chain as a flat tree, so that neither the check nor the evaluation runs deep."""
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, offsets, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, offsets, middle + 1, high)
    return Call(offsets[middle], function, [left, right])


def _dotted(node: Node) -> str:
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and (before := _dotted(node.operand)):
        return f"{before}.{node.field}"
    return ""


def _number(kind: str, text: str, offset: int) -> Any:
    if kind == "float":
        return float(text)
    digits = text.rstrip("uU")
    value = int(digits, 16 if "0x" in digits else 10)
    if kind == "uint":
        if value >= 1 << 64:
            raise SyntaxFault("invalid uint literal", offset)
        return UInt(value)
    if not -(1 << 63) <= value < 1 << 63:
        raise SyntaxFault("invalid int literal", offset)
    return value


def _string(text: str, offset: int) -> str | bytes:
    start = min(text.index(q) for q in "\"'" if q in text)
    prefix, quoted = text[:start].lower(), text[start:]
    width = 3 if quoted[:3] in ('"""', "'''") else 1
    inner = quoted[width:-width].replace("\r\n", "\n").replace("\r", "\n")
    if "r" in prefix:
        return inner.encode() if "b" in prefix else inner
    if "b" in prefix:
        return b"".join(_escaped_bytes(inner, offset))
    return _ESCAPE.sub(lambda m: _unescaped(m, offset), inner)


def _unescaped(match: "re.Match[str]", offset: int) -> str:
    octal, hexadecimal, short, long, plain = match.groups()
    if plain is not None:
        if plain not in _PLAIN_ESCAPES:
            raise SyntaxFault(f"Syntax error: token recognition error at: '{match.group()}'", offset)
        return _PLAIN_ESCAPES[plain]
    return chr(int(octal, 8) if octal else int(hexadecimal or short or long, 16))


def _escaped_bytes(text: str, offset: int) -> list[bytes]:
    found, at = [], 0
    for match in _ESCAPE.finditer(text):
        found.append(text[at : match.start()].encode())
        octal, hexadecimal = match.group(1), match.group(2)
        code = int(octal, 8) if octal else int(hexadecimal, 16) if hexadecimal else -1
        found.append(bytes([code]) if code >= 0 else _unescaped(match, offset).encode())
        at = match.end()
    return [*found, text[at:].encode()]


def _has(offset: int, args: list[Node]) -> Node:
    operand = args[0]
    if not isinstance(operand, Select):
        raise SyntaxFault("invalid argument to has() macro", operand.offset)
    return Select(offset, operand.operand, operand.field, test_only=True)


def _variable(node: Node) -> str:
    if not isinstance(node, Ident):
        raise SyntaxFault("argument must be a simple name", node.offset)
    return node.name


def _member_macro(offset: int, name: str, target: Node, args: list[Node]) -> Node:
    made = _MACROS.get((name, len(args)))
    return made(offset, target, args) if made else Call(offset, name, args, target)


def _accumulated(offset: int) -> Ident:
    return Ident(offset, RESULT)


def _continue_while(offset: int, value: Node) -> Node:
    return Call(offset, "@not_strictly_false", [value])


def _all(offset: int, target: Node, args: list[Node]) -> Node:
    *variables, predicate = args
    step = Call(offset, "_&&_", [_accumulated(offset), predicate])
    condition = _continue_while(offset, _accumulated(offset))
    return _fold(offset, target, variables, Literal(offset, True), condition, step, _accumulated(offset))


def _exists(offset: int, target: Node, args: list[Node]) -> Node:
    *variables, predicate = args
    step = Call(offset, "_||_", [_accumulated(offset), predicate])
    condition = _continue_while(offset, Call(offset, "!_", [_accumulated(offset)]))
    return _fold(offset, target, variables, Literal(offset, False), condition, step, _accumulated(offset))


def _exists_one(offset: int, target: Node, args: list[Node]) -> Node:
    *variables, predicate = args
    more = Call(offset, "_+_", [_accumulated(offset), Literal(offset, 1)])
    step = Call(offset, "_?_:_", [predicate, more, _accumulated(offset)])
    result = Call(offset, "_==_", [_accumulated(offset), Literal(offset, 1)])
    return _fold(offset, target, variables, Literal(offset, 0), Literal(offset, True), step, result)


def _map(offset: int, target: Node, args: list[Node]) -> Node:
    """map(x, transform) and map(x, predicate, transform)."""
    variable, *predicate, transform = args
    step: Node = Call(offset, "_+_", [_accumulated(offset), ListLiteral(offset, [transform], set())])
    if predicate:
        step = Call(offset, "_?_:_", [predicate[0], step, _accumulated(offset)])
    empty = ListLiteral(offset, [], set())
    return _fold(offset, target, [variable], empty, Literal(offset, True), step, _accumulated(offset))


def _filter(offset: int, target: Node, args: list[Node]) -> Node:
    variable, predicate = args
    kept = ListLiteral(offset, [Ident(variable.offset, _variable(variable))], set())
    added = Call(offset, "_+_", [_accumulated(offset), kept])
    step = Call(offset, "_?_:_", [predicate, added, _accumulated(offset)])
    empty = ListLiteral(offset, [], set())
    return _fold(offset, target, [variable], empty, Literal(offset, True), step, _accumulated(offset))


def _sort_by(offset: int, target: Node, args: list[Node]) -> Node:
    return Call(offset, "@sortBy", [_map(offset, target, args)], target)


def _transform_list(offset: int, target: Node, args: list[Node]) -> Node:
    one, two, *predicate, transform = args
    step: Node = Call(offset, "_+_", [_accumulated(offset), ListLiteral(offset, [transform], set())])
    if predicate:
        step = Call(offset, "_?_:_", [predicate[0], step, _accumulated(offset)])
    empty = ListLiteral(offset, [], set())
    return _fold(offset, target, [one, two], empty, Literal(offset, True), step, _accumulated(offset))


def _transform_map(offset: int, target: Node, args: list[Node]) -> Node:
    one, two, *predicate, transform = args
    key = Ident(one.offset, _variable(one))
    step: Node = Call(offset, "cel.@mapInsert", [_accumulated(offset), key, transform])
    if predicate:
        step = Call(offset, "_?_:_", [predicate[0], step, _accumulated(offset)])
    empty = MapLiteral(offset, [])
    return _fold(offset, target, [one, two], empty, Literal(offset, True), step, _accumulated(offset))


def _transform_entry(offset: int, target: Node, args: list[Node]) -> Node:
    one, two, *predicate, transform = args
    step: Node = Call(offset, "cel.@mapInsert", [_accumulated(offset), transform])
    if predicate:
        step = Call(offset, "_?_:_", [predicate[0], step, _accumulated(offset)])
    empty = MapLiteral(offset, [])
    return _fold(offset, target, [one, two], empty, Literal(offset, True), step, _accumulated(offset))


def _opt_map(offset: int, target: Node, args: list[Node]) -> Node:
    inner = Call(offset, "optional.of", [_bound(offset, target, args)])
    return Call(offset, "_?_:_", [Call(offset, "hasValue", [], target), inner, Call(offset, "optional.none", [])])


def _opt_flat_map(offset: int, target: Node, args: list[Node]) -> Node:
    inner = _bound(offset, target, args)
    return Call(offset, "_?_:_", [Call(offset, "hasValue", [], target), inner, Call(offset, "optional.none", [])])


def _bound(offset: int, target: Node, args: list[Node]) -> Node:
    """`args[0]` names the target's value within `args[1]`."""
    return _named(offset, _variable(args[0]), Call(offset, "value", [], target), args[1])


def _named(offset: int, name: str, value: Node, result: Node) -> Node:
    """`name` is the value within `result`: a fold over nothing."""
    empty = ListLiteral(offset, [], set())
    return Fold(offset, "#unused", "", empty, name, value, Literal(offset, False), Ident(offset, name), result)


def _fold(
    offset: int, target: Node, variables: list[Node], init: Node, condition: Node, step: Node, result: Node
) -> Node:
    names = [_variable(v) for v in variables]
    for name, node in zip(names, variables, strict=True):
        if name in (RESULT, "__result__"):
            raise SyntaxFault("iteration variable overwrites accumulator variable", node.offset)
    return Fold(offset, names[0], names[1] if len(names) > 1 else "", target, RESULT, init, condition, step, result)


_MACROS: dict[tuple[str, int], Callable[[int, Node, list[Node]], Node]] = {
    ("all", 2): _all, ("all", 3): _all,
    ("exists", 2): _exists, ("exists", 3): _exists,
    ("exists_one", 2): _exists_one, ("existsOne", 2): _exists_one,
    ("exists_one", 3): _exists_one, ("existsOne", 3): _exists_one,
    ("map", 2): _map, ("map", 3): _map,
    ("filter", 2): _filter, ("sortBy", 2): _sort_by,
    ("transformList", 3): _transform_list, ("transformList", 4): _transform_list,
    ("transformMap", 3): _transform_map, ("transformMap", 4): _transform_map,
    ("transformMapEntry", 3): _transform_entry, ("transformMapEntry", 4): _transform_entry,
    ("optMap", 2): _opt_map, ("optFlatMap", 2): _opt_flat_map,
}  # fmt: skip
