"""Printers from a CRD's additionalPrinterColumns, with the subset of JSONPath that CRDs may use there."""

import re
from functools import lru_cache
from typing import Any

import orjson

from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age, name_of

_STEP = re.compile(
    r"\.?(?P<name>[A-Za-z0-9_$-](?:[A-Za-z0-9_$/-]|\\.)*)"
    r"|\.(?P<every>\*)"
    r"|\[(?P<index>-?[0-9]+|\*)\]"
    r"|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]"
    r"""|\[\?\(@\.(?P<field>[A-Za-z0-9_.-]+)\s*==\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^'")\s]+))\)\]"""
)
_Steps = tuple[tuple[str, Any], ...]


def parse_path(path: str) -> _Steps | None:
    """`.status.conditions[?(@.type=="Ready")].status` and the like as steps; None for what we cannot follow."""
    steps: list[tuple[str, Any]] = []
    position = 1 if path.startswith("$") else 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return None
        found = match.groupdict()
        if found["name"] is not None:
            steps.append(("key", re.sub(r"\\(.)", r"\1", found["name"])))
        elif found["key"] is not None:
            steps.append(("key", found["key"]))
        elif found["every"] is not None or found["index"] == "*":
            steps.append(("every", None))
        elif found["index"] is not None:
            steps.append(("index", int(found["index"])))
        else:
            wanted = next(w for w in (found["single"], found["double"], found["bare"]) if w is not None)
            steps.append(("where", (found["field"].split("."), wanted)))
        position = match.end()
    return tuple(steps)


def follow(steps: _Steps, value: Any) -> list[Any]:
    """Every value that a path leads to."""
    values = [value]
    for kind, argument in steps:
        values = [found for v in values for found in _step(kind, argument, v)]
    return values


def _step(kind: str, argument: Any, value: Any) -> list[Any]:
    match kind, value:
        case "key", dict():
            return [value[argument]] if argument in value else []
        case "index", list():
            return value[argument : argument + 1 or None]
        case "every", list():
            return value
        case "every", dict():
            return list(value.values())
        case "where", list():
            fields, wanted = argument
            return [item for item in value if _shown(_at(item, fields)) == wanted]
    return []


def _at(value: Any, fields: list[str]) -> Any:
    for field in fields:
        value = value.get(field) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _cell(type_: str, value: Any, now: float) -> Any:
    if type_ == "date":
        return age(value if isinstance(value, str) else None, now)
    if type_ == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if type_ == "number":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if type_ == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return _shown(value)


@lru_cache(512)
def custom_printer(raw: bytes) -> Printer:
    """The printer of JSON additionalPrinterColumns; NAME and AGE alone if there are none."""
    declared = orjson.loads(raw)
    columns = [NAME]
    readers: list[tuple[str, _Steps | None]] = []
    for entry in declared:
        path = entry.get("jsonPath") or entry.get("JSONPath", "")
        description = entry.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
        columns.append(
            Column(entry["name"], entry["type"], entry.get("format", ""), description, entry.get("priority", 0))
        )
        readers.append((entry["type"], parse_path(path)))

    def cells(obj: Object, now: float) -> list[Any]:
        row: list[Any] = [name_of(obj)]
        for type_, steps in readers:
            found = follow(steps, obj) if steps else []
            row.append(_cell(type_, found[0], now) if found and found[0] is not None else _missing(type_))
        return row

    if not declared:
        return Printer((NAME, AGE._replace(type="date")), lambda obj, now: [name_of(obj), _created(obj, now)])
    return Printer(columns, cells)


def _missing(type_: str) -> Any:
    return "<unknown>" if type_ == "date" else None


def _created(obj: Object, now: float) -> str:
    return age(obj.get("metadata", {}).get("creationTimestamp"), now)
