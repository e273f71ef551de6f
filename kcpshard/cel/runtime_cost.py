"""What one call costs when it is made, in the units of kube-apiserver's budgets.

The figures are part of the API: an object is refused when its rules cost too much. A function that is not here costs 1.
"""

import math
from collections.abc import Callable
from typing import Any

from kcpshard.cel.values import Cidr, Format, Ip, Quantity, Semver, Url, size, traversal

Cost = Callable[[tuple[Any, ...], Any], int]
_PLAIN_EQUALITY = (Quantity, Ip, Cidr, Format, Url, Semver)


def _tenth(amount: float) -> int:
    return math.ceil(amount * 0.1)


def _of_first(factor: float) -> Cost:
    return lambda args, _: _tenth(size(args[0]) * factor)


def _pattern_cost(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(1.0 + size(args[0])) * math.ceil(size(args[1]) * 0.25)


def _smaller(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(min(size(args[0]), size(args[1])))


def _order(args: tuple[Any, ...], _: Any) -> int:
    return _smaller(args, _) if isinstance(args[0], str | bytes) else 1


def equality(one: Any, two: Any) -> int:
    if isinstance(one, _PLAIN_EQUALITY):
        return 1
    return _tenth(min(size(one), size(two)))


def _add(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(size(args[0]) + size(args[1])) if isinstance(args[0], str | bytes) else 1


def _contains(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(size(args[0])) * _tenth(size(args[1]))


def _validate(args: tuple[Any, ...], _: Any) -> int:
    longest: int = args[0].max_regex
    return _tenth(1.0 + size(args[1])) * math.ceil(longest * 0.25)


def _contains_ip(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(2 * size(args[0])) + (_tenth(size(args[1])) if isinstance(args[1], str) else 0)


def _contains_cidr(args: tuple[Any, ...], _: Any) -> int:
    return _contains_ip(args, _) + _tenth(size(args[0])) + 1


def _ip(args: tuple[Any, ...], _: Any) -> int:
    return 1 if type(args[0]) is Cidr else _tenth(size(args[0]))


def _to_text(args: tuple[Any, ...], _: Any) -> int:
    return _tenth(size(args[0])) if isinstance(args[0], bytes | str) else 1


def _selector(args: tuple[Any, ...], _: Any) -> int:
    """A selector is read and becomes a list of requirements, one for each two characters at most."""
    length = size(args[1])
    return 10 + _tenth(length) + math.ceil(length * 0.5) * 50


# Two checks an expression; they take microseconds.
NOMINAL = {"check": 350_000}
COSTS: dict[str, Cost] = {
    **dict.fromkeys(
        ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), lambda args, _: int(traversal(args[0]))
    ),
    **dict.fromkeys(
        ("url", "lowerAscii", "upperAscii", "substring", "trim", "cidr", "isIP", "isCIDR", "quantity", "isQuantity",
         "semver", "isSemver", "endsWith", "jsonpatch.escapeKey", "strings.quote", "format"), _of_first(1),
    ),
    # A prefix is priced by the string it is looked for in, too.
    "startsWith": _of_first(1),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _of_first(2)),
    "join": lambda _, result: _tenth(size(result) * 2),
    **dict.fromkeys(("find", "findAll", "matches"), _pattern_cost),
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _order),
    "_==_": lambda args, _: equality(*args),
    "_!=_": _smaller,
    "@in": lambda args, _: size(args[1]) if isinstance(args[1], list) else 1,
    **dict.fromkeys(("slice", "reverse", "lists.range"), lambda _, result: 11 + size(result)),
    "flatten": lambda args, _: 11 + size(args[0]) * (args[1] if len(args) > 1 else 1),
    **dict.fromkeys(("distinct", "sort", "@sortBy"), lambda args, _: 11 + 2 * size(args[0]) ** 2),
    **dict.fromkeys(("sets.contains", "sets.intersects"), lambda args, _: 1 + size(args[0]) * size(args[1])),
    "sets.equivalent": lambda args, _: 1 + 2 * size(args[0]) * size(args[1]),
    "check": lambda args, _: NOMINAL["check"], **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    "_+_": _add, "contains": _contains, "validate": _validate, "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr, "ip": _ip, "bytes": _to_text,
    "string": lambda args, _: _tenth(size(args[0])) if isinstance(args[0], bytes) else 1,
}  # fmt: skip
