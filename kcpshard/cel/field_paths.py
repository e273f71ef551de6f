"""A rule's `fieldPath`: which field a fault is reported at."""

import re
from collections.abc import Mapping
from typing import Any

_PART = re.compile(r"""\.(?P<name>[^.\[\]]+)|\[(?P<quoted>'(?:\\.|[^'\\])*')\]""")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def field_path(text: str, raw: Mapping[str, Any]) -> str | None:
    """The path below the rule's node, as errors show it; None if it leads nowhere in the schema."""
    found, at = "", 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return None
        name = match["name"] if match["name"] is not None else _unquoted(match["quoted"])
        properties, values = raw.get("properties"), raw.get("additionalProperties")
        if name is None or (not properties and not isinstance(values, Mapping)):
            return None
        if properties:
            if name not in properties:
                return None
            found, raw = f"{found}.{name}", properties[name]
        else:
            assert isinstance(values, Mapping)
            found, raw = f"{found}[{name}]", values
        at = match.end()
    return found


def _unquoted(text: str) -> str | None:
    found = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), "\0"), text[1:-1])
    return None if "\0" in found else found
