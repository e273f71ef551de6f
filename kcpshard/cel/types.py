"""The static types of expressions: what they are called, and which may stand for which.

`Type`s are never changed once built. A struct type is the CEL face of one schema node; it is known by identity.
"""

import re
from collections.abc import Iterable
from typing import Any

from kcpshard.cel.syntax import RESERVED


class Type:
    """`name` says which; `params` are those of list, map, optional_type and type.

    `size` is the largest `size()` a value may have as its schema tells, 0 if nothing does (an integer, an object);
    `smallest` the least number of bytes of its JSON.
    """

    __slots__ = ("fields", "kind", "name", "params", "size", "smallest")

    def __init__(
        self, kind: str, name: str = "", params: "tuple[Type, ...]" = (), size: int = 0, smallest: int = 0,
        fields: "dict[str, Type] | None" = None,
    ) -> None:  # fmt: skip
        self.kind, self.name, self.params, self.size, self.smallest = kind, name or kind, params, size, smallest
        self.fields = fields

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(map(str, self.params))})"


def _simple(name: str, kind: str = "", smallest: int = 0) -> Type:
    return Type(kind or name, name, smallest=smallest)


BOOL, INT, UINT, DOUBLE = _simple("bool", smallest=4), _simple("int", smallest=1), _simple("uint"), _simple("double")
STRING, BYTES, NULL, DYN, ERROR = map(_simple, ("string", "bytes", "null", "dyn", "!error!"))
TIMESTAMP, DURATION = _simple("timestamp"), _simple("duration")
NULL.name, TIMESTAMP.name, DURATION.name = "null", "timestamp", "duration"
DOUBLE.smallest = 1
# What a device says of itself, of a type that only its driver knows: a text of at most 64 bytes, a number, a version.
ANY_ATTRIBUTE = Type("dyn", "any", size=64)
OPAQUE = {
    name: Type("opaque", full)
    for name, full in {
        "quantity": "kubernetes.Quantity", "url": "kubernetes.URL", "semver": "kubernetes.Semver",
        "ip": "net.IP", "cidr": "net.CIDR", "format": "kubernetes.NamedFormat",
        "authorizer": "kubernetes.authorization.Authorizer", "path_check": "kubernetes.authorization.PathCheck",
        "group_check": "kubernetes.authorization.GroupCheck", "decision": "kubernetes.authorization.Decision",
        "resource_check": "kubernetes.authorization.ResourceCheck",
    }.items()
}  # fmt: skip
SIMPLE = {t.name: t for t in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, DYN, TIMESTAMP, DURATION)}
SCALARS = frozenset(("bool", "double", "duration", "int", "timestamp", "uint"))


def list_of(element: Type, size: int = 0) -> Type:
    return Type("list", "list", (element,), size, 2)


def map_of(key: Type, value: Type, size: int = 0) -> Type:
    return Type("map", "map", (key, value), size, 2)


def optional_of(value: Type) -> Type:
    return Type("optional", "optional_type", (value,))


def type_of(value: Type) -> Type:
    return Type("type", "type", (value,))


def struct(fields: dict[str, Type], smallest: int, name: str = "object") -> Type:
    return Type("struct", name, (), 0, smallest, fields)


class _AnyFields(dict[str, Type]):
    """The fields of a type that takes whatever it is given."""

    def get(self, name: str, default: Any = None) -> Type:
        return DYN


_ANY_FIELDS = _AnyFields()
JSON_PATCH = struct({"op": STRING, "path": STRING, "from": STRING, "value": DYN}, 0, "JSONPatch")


def patch_type(name: str) -> Type | None:
    """The type that `name{…}` makes in an expression that makes patches."""
    if name == JSON_PATCH.name:
        return JSON_PATCH
    return struct(_ANY_FIELDS, 0, name) if name == "Object" or name.startswith("Object.") else None


def exact_name(found: Type) -> str:
    """A type as it is called where a whole expression must have one."""
    if found.params:
        return f"{found.name}({', '.join(map(exact_name, found.params))})"
    return _EXACT.get(found.kind, found.name)  # what is still unknown may be anything


_EXACT = {
    "param": "dyn",
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


Bindings = dict[Type, Type]


def resolve(found: Type, bindings: Bindings) -> Type:
    """With parameters replaced by what is known of them."""
    while found.kind == "param" and found in bindings:
        found = bindings[found]
    if not found.params:
        return found
    params = tuple(resolve(p, bindings) for p in found.params)
    if all(a is b for a, b in zip(params, found.params, strict=True)):
        return found
    return Type(found.kind, found.name, params, found.size, found.smallest, found.fields)


def assignable(given: Type, wanted: Type, bindings: Bindings) -> bool:
    """Whether a value of the one type may stand where the other is wanted; what it says of parameters is noted."""
    given, wanted = _bound(given, bindings), _bound(wanted, bindings)
    if given is wanted:
        return True
    if wanted.kind == "param":
        return _bind(wanted, given, bindings)
    if given.kind == "param":
        return _bind(given, wanted, bindings)
    if "dyn" in (given.kind, wanted.kind) or "!error!" in (given.kind, wanted.kind):
        return True
    if given.kind == "null":
        return wanted.kind in _NULLABLE
    if wanted.kind == "null":
        return given.kind in _NULLABLE
    if given.kind != wanted.kind or len(given.params) != len(wanted.params):
        return False
    if given.kind in ("struct", "opaque"):
        return given.name == wanted.name and given.fields is wanted.fields
    return all(assignable(g, w, bindings) for g, w in zip(given.params, wanted.params, strict=True))


_NULLABLE = frozenset(("null", "struct", "opaque", "optional", "timestamp", "duration"))


def _bound(found: Type, bindings: Bindings) -> Type:
    while found.kind == "param" and found in bindings:
        found = bindings[found]
    return found


def _bind(param: Type, value: Type, bindings: Bindings) -> bool:
    if _occurs(param, value, bindings):
        return False
    bindings[param] = value
    return True


def _occurs(param: Type, within: Type, bindings: Bindings) -> bool:
    within = _bound(within, bindings)
    return within is param or any(_occurs(param, p, bindings) for p in within.params)


def more_general(one: Type, two: Type) -> Type:
    """Of two types of which one may stand for the other, the wider."""
    return one if one.kind in ("dyn", "!error!", "param") else two if two.kind in ("dyn", "!error!") else one


_KEYWORDS = RESERVED | {"true", "false", "null", "in"}
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def escape(name: str) -> str | None:
    """A property's name as an identifier; None if it has none."""
    if not name or name[0].isdigit():
        return None
    if name in _KEYWORDS:
        return f"__{name}__"
    if not all(c.isascii() and (c.isalnum() or c in "_.-/") for c in name):
        return None
    for plain, escaped in _ESCAPES if any(c in name for c in ".-/") or "__" in name else ():
        name = name.replace(plain, escaped)
    return name


def shown(types: Iterable[Type]) -> str:
    return ", ".join(map(str, types))


_UNESCAPED = {escaped: plain for plain, escaped in _ESCAPES}


def unescape(name: str) -> str:
    """The property that an identifier stands for."""
    if "__" not in name:
        return name
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _KEYWORDS:
        return name[2:-2]
    return re.sub("__(?:underscores|dot|dash|slash)__", lambda m: _UNESCAPED[m.group()], name)
