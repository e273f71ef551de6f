"""Label and field selectors: parsed once per request, then asked once per object.

Decides the grammar of both (k8s.io/apimachinery `labels` and `fields`), with kube-apiserver's sentences for what is
wrong; leaves to callers where labels and fields come from: usually an envelope's header, never the JSON.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from kcpshard.api.errors import BadRequest, FieldError, invalid
from kcpshard.api.names import dns_subdomain_faults

Labels = Mapping[str, str]

_NAME_REGEX = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_NAME = re.compile(_NAME_REGEX)
_LABEL_VALUE = re.compile(f"({_NAME_REGEX})?")
_QUALIFIED_NAME_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_REGEX}')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME_REGEX})?')"
)
_MAX_NAME, _MAX_PREFIX = 63, 253


def qualified_name_faults(value: str) -> list[str]:
    """IsQualifiedName: keys of labels and annotations, finalizers. Empty if `value` is one."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [f"a valid label key {_QUALIFIED_NAME_TEXT} with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"]  # fmt: skip
    faults = []
    if slash:
        if not prefix:
            faults.append("prefix part must be non-empty")
        elif len(prefix) > _MAX_PREFIX:
            faults.append("prefix part must be no more than 253 bytes")
        else:
            faults += [f"prefix part {fault}" for fault in dns_subdomain_faults(prefix)]
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > _MAX_NAME:
        faults.append("name part must be no more than 63 bytes")
    if not _QUALIFIED_NAME.fullmatch(name):
        faults.append(f"name part {_QUALIFIED_NAME_TEXT}")
    return faults


def label_value_faults(value: str) -> list[str]:
    """IsValidLabelValue."""
    faults = ["must be no more than 63 bytes"] if len(value) > _MAX_NAME else []
    return faults if _LABEL_VALUE.fullmatch(value) else [*faults, _LABEL_VALUE_TEXT]


# --- label selectors


class Requirement(NamedTuple):
    """One comma-separated part. `operator` is the word of the text: in, notin, =, ==, !=, gt, lt, exists, !"""

    key: str
    operator: str
    values: tuple[str, ...]


class LabelSelector:
    """What a set of labels must satisfy; every requirement must hold. One without requirements takes everything."""

    __slots__ = ("_tests", "requirements")

    def __init__(self, requirements: Sequence[Requirement]) -> None:
        self.requirements = tuple(requirements)
        self._tests = [_compile(requirement) for requirement in requirements]

    def __bool__(self) -> bool:
        return bool(self._tests)

    def __str__(self) -> str:
        """Text that parses to an equal selector."""
        return ",".join(_written(r) for r in self.requirements)

    def matches(self, labels: Labels) -> bool:
        # A loop, not all(): no generator per object of a list.
        for test in self._tests:  # noqa: SIM110
            if not test(labels):
                return False
        return True


def _compile(requirement: Requirement) -> Callable[[Labels], bool]:
    key, operator, values = requirement
    wanted = frozenset(values)
    match operator:
        case "exists":
            return lambda labels: key in labels
        case "!":
            return lambda labels: key not in labels
        case "in" | "=" | "==":
            return lambda labels: key in labels and labels[key] in wanted
        case "notin" | "!=":
            return lambda labels: key not in labels or labels[key] not in wanted
        case "gt":
            return lambda labels: (number := _integer(labels.get(key))) is not None and number > int(values[0])
    return lambda labels: (number := _integer(labels.get(key))) is not None and number < int(values[0])


def _integer(text: str | None) -> int | None:
    """strconv.ParseInt(text, 10, 64)."""
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def _written(requirement: Requirement) -> str:
    key, operator, values = requirement
    match operator:
        case "exists":
            return key
        case "!":
            return f"!{key}"
        case "in" | "notin":
            return f"{key} {operator} ({','.join(values)})"
        case "gt" | "lt":
            return f"{key}{'>' if operator == 'gt' else '<'}{values[0]}"
    return f"{key}{operator}{values[0]}"


_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+|$)")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">", ""))
_OPERATORS = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
_OPERATOR_TEXT = "in, notin, =, ==, !=, gt, lt"


class _SelectorError(Exception):
    """The sentence for the client; `parse_label_selector` says in which part of the grammar it was."""


class _Parser:
    """Recursive descent over the tokens of one selector. The end of the text is the word ""."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        word: str = self._tokens[min(self._at, len(self._tokens) - 1)]
        return word

    def take(self) -> str:
        word = self.peek()
        self._at += 1
        return word

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while (word := self.peek()) != "":
            if word in _SYMBOLS and word != "!":
                raise _SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except _SelectorError as error:
                raise _SelectorError(f"unable to parse requirement: {error}") from None
            self._separator()
        return found

    def _separator(self) -> None:
        word = self.take()
        if word == "":
            self._at -= 1
        elif word != ",":
            raise _SelectorError(f"found '{word}', expected: ',' or 'end of string'")
        elif (following := self.peek()) in _SYMBOLS and following != "!":
            raise _SelectorError(f"found '{following}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        key, absent = self.take(), False
        if key == "!":
            key, absent = self.take(), True
        if key in _SYMBOLS:
            raise _SelectorError(f"found '{key}', expected: identifier")
        if faults := qualified_name_faults(key):
            raise _SelectorError(str(invalid("<nil>", key, "; ".join(faults))))
        if absent:
            return Requirement(key, "!", ())
        if self.peek() in ("", ","):
            return Requirement(key, "exists", ())
        word = self.take()
        operator = _OPERATORS.get(word)
        if operator is None:
            raise _SelectorError(f"found '{word}', expected: {_OPERATOR_TEXT}")
        values = self._set() if operator in ("in", "notin") else (self._exact(),)
        return _checked(Requirement(key, operator, values))

    def _exact(self) -> str:
        if self.peek() in ("", ","):
            return ""
        word = self.take()
        if word in _SYMBOLS:
            raise _SelectorError(f"found '{word}', expected: identifier")
        return word

    def _set(self) -> tuple[str, ...]:
        """`(a, b)`; a place left empty means the empty string."""
        if (word := self.take()) != "(":
            raise _SelectorError(f"found '{word}' expected: '('")
        if (word := self.peek()) in _SYMBOLS and word not in (",", ")"):
            raise _SelectorError(f"found '{word}', expected: ',', ')' or identifier")
        values = {self._member()}
        while (word := self.take()) == ",":
            values.add(self._member())
        if word != ")":
            raise _SelectorError(f"found '{word}', expected: ',' or ')'")
        return tuple(sorted(values))

    def _member(self) -> str:
        if self.peek() in (",", ")"):
            return ""
        word = self.take()
        if word in _SYMBOLS:
            raise _SelectorError(f"found '{word}', expected: ',', or identifier")
        return word


def _checked(requirement: Requirement) -> Requirement:
    key, operator, values = requirement
    faults: list[FieldError] = []
    for index, value in enumerate(values):
        if operator in ("gt", "lt") and _integer(value) is None:
            text = "for 'Gt', 'Lt' operators, the value must be an integer"
            faults.append(invalid(f"values[{index}]", value, text))
        elif reasons := label_value_faults(value):
            faults.append(invalid(f"values[{index}][{key}]", value, "; ".join(reasons)))
    if faults:
        raise _SelectorError(str(faults[0]) if len(faults) == 1 else "[" + ", ".join(map(str, faults)) + "]")
    return requirement


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> LabelSelector:
    """Raises BadRequest. The result is shared: nothing changes a selector."""
    try:
        return LabelSelector(_Parser(text).requirements())
    except _SelectorError as error:
        raise BadRequest(str(error)) from None


# --- field selectors


class FieldTerm(NamedTuple):
    field: str
    equal: bool  # False: !=
    value: str


class FieldSelector:
    """What the selectable fields must be; a field that an object lacks is the empty string."""

    __slots__ = ("_others", "_places", "name", "terms")

    def __init__(self, terms: Sequence[FieldTerm]) -> None:
        self.terms = tuple(terms)
        self._places = [t for t in terms if t.field in _IN_THE_KEY]
        self._others = [t for t in terms if t.field not in _IN_THE_KEY]
        names = {t.value for t in terms if t.field == "metadata.name" and t.equal}
        self.name = names.pop() if len(names) == 1 else ""  # the one name that can match, "" if there may be others

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{_escaped(t.value)}" for t in self.terms)

    def matches(self, fields: Mapping[str, str]) -> bool:
        """`fields` has metadata.name and metadata.namespace too."""
        for field, equal, value in self.terms:  # noqa: SIM110
            if (fields.get(field, "") == value) is not equal:
                return False
        return True

    def matches_place(self, namespace: str, name: str) -> bool:
        """The part about metadata.name and metadata.namespace, which an object's key has."""
        for field, equal, value in self._places:
            if ((name if field == "metadata.name" else namespace) == value) is not equal:
                return False
        return True

    def matches_fields(self, fields: Mapping[str, str]) -> bool:
        """The part about all other fields, which an envelope's header has."""
        for field, equal, value in self._others:  # noqa: SIM110
            if (fields.get(field, "") == value) is not equal:
                return False
        return True

    def has_fields(self) -> bool:
        return bool(self._others)


_IN_THE_KEY = ("metadata.name", "metadata.namespace")
_EVERYWHERE = frozenset(_IN_THE_KEY)
_ESCAPE = re.compile(r"[\\,=]")
_OPERATOR = re.compile(r"!=|==|=")


def _escaped(value: str) -> str:
    return _ESCAPE.sub(lambda found: "\\" + found[0], value)


def _terms(text: str) -> list[str]:
    """Split at commas that no backslash precedes; empty parts are left out."""
    parts, start = [], 0
    for found in re.finditer(r"\\.|,", text, re.DOTALL):
        if found[0] == ",":
            parts.append(text[start : found.start()])
            start = found.end()
    return [part for part in (*parts, text[start:]) if part]


def _unescaped(value: str) -> str:
    result, at = [], 0
    while at < len(value):
        char = value[at]
        if char == "\\":
            following = value[at + 1 : at + 2]
            if following not in ("\\", ",", "=") or not following:
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{following}")
            char, at = following, at + 1
        elif char in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord(char)}")
        result.append(char)
        at += 1
    return "".join(result)


@lru_cache(maxsize=1024)
def parse_field_terms(text: str) -> tuple[FieldTerm, ...]:
    """Whatever the fields are called. Raises BadRequest."""
    found = []
    for part in _terms(text):
        operator = _OPERATOR.search(part)
        if operator is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        value = _unescaped(part[operator.end() :])
        found.append(FieldTerm(part[: operator.start()], operator[0] != "!=", value))
    return tuple(term for term in found if term.field or term.value)


def parse_field_selector(text: str, allowed: Collection[str] = _EVERYWHERE) -> FieldSelector:
    """`allowed` are the fields that the type offers beside metadata.name and namespace. Raises BadRequest.

    A mapping also says what stored objects call them, where that is another version's name.
    """
    terms = parse_field_terms(text)
    for term in terms:
        if term.field in _EVERYWHERE or term.field in allowed:
            continue
        if _EVERYWHERE.issuperset(allowed):
            known = 'only "metadata.name", "metadata.namespace"'
            raise BadRequest(f'"{term.field}" is not a known field selector: {known}')
        raise BadRequest(f"field label not supported: {term.field}")
    if isinstance(allowed, Mapping):
        terms = tuple(term._replace(field=allowed.get(term.field, term.field)) for term in terms)
    return FieldSelector(terms)


NO_LABELS = parse_label_selector("")
