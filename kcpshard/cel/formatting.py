"""`format` of strings and `strings.quote`."""

import re
from typing import Any

from kcpshard.cel import operators
from kcpshard.cel.values import Duration, EvalFault, Timestamp, TypeName, type_name

_CLAUSE = re.compile(r"%(?:%|(?:\.(\d+))?([sdfebxXo]))|%")
_QUOTED = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\",
    '"': '\\"',
}  # fmt: skip


def quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(c, c) for c in text) + '"'


def format_string(template: str, arguments: list[Any]) -> str:
    """`"%s has %d".format([name, count])`."""
    left = list(arguments)

    def clause(match: "re.Match[str]") -> str:
        if match.group() == "%%":
            return "%"
        if match.group(2) is None:
            raise EvalFault(f"could not parse formatting clause: unrecognized formatting clause {_after(match)!r}")
        if not left:
            raise EvalFault(f"index {len(arguments)} out of range")
        return _formatted(match.group(2), match.group(1), left.pop(0))

    return _CLAUSE.sub(clause, template)


def _after(match: "re.Match[str]") -> str:
    return match.string[match.end() : match.end() + 1]


def _formatted(verb: str, precision: str | None, value: Any) -> str:
    kind = type_name(value)
    digits = int(precision) if precision else 6
    match verb:
        case "s":
            return _shown(value)
        case "d" if kind in ("int", "uint"):
            return str(int(value))
        case "d" if (kind == "double" and value != value) or value in (float("inf"), float("-inf")):
            return _shown(value)
        case "f" if kind in ("double", "int", "uint"):
            return f"{value:,.{digits}f}"
        case "e" if kind in ("double", "int", "uint"):
            return f"{value:.{digits}e}"
        case "b" if kind in ("int", "uint", "bool"):
            return f"{int(value):b}"
        case "o" if kind in ("int", "uint"):
            return f"{int(value):o}"
        case "x" | "X" if kind in ("int", "uint"):
            return f"{int(value):{verb}}"
        case "x" | "X" if kind in ("string", "bytes"):
            found: str = (value.encode() if kind == "string" else value).hex()
            return found.upper() if verb == "X" else found
    names = {"d": "decimal", "f": "fixed-point", "e": "scientific", "b": "binary", "o": "octal", "x": "hex", "X": "hex"}
    raise EvalFault(f"error during formatting: {names[verb]} clause can only be used on numbers, was given {kind}")


def _inner(value: Any) -> str:
    """Within a list or a map strings are quoted."""
    return quote(value) if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "null"
        case list():
            return "[" + ", ".join(map(_inner, value)) + "]"
        case dict():
            entries = sorted((_inner(k), _inner(v)) for k, v in value.items())
            return "{" + ", ".join(f"{k}:{v}" for k, v in entries) + "}"
        case TypeName():
            return value.name
        case bool() | int() | float() | str() | bytes() | Timestamp() | Duration():
            return operators.to_string(value)
    raise EvalFault(
        "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, "
        f"types, durations, and timestamps, was given {type_name(value)}"
    )
