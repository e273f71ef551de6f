"""What is different between two states of an object, field by field, as people read it. Pure."""

import json
from collections.abc import Iterator
from typing import Any

# Changed by every write, or a record of the writing itself.
_UNINTERESTING = (
    ("metadata", "managedFields"),
    ("metadata", "resourceVersion"),
    ("metadata", "generation"),
)
Object = dict[str, Any]


def differences(before: Object | None, after: Object | None) -> list[str]:
    """Lines like `spec.replicas: 1 → 3`, `+ data.key: "v"`, `- metadata.labels.app: "web"`."""
    return list(_compare("", _interesting(before or {}), _interesting(after or {})))


def _interesting(obj: Object) -> Object:
    found = dict(obj)
    for first, second in _UNINTERESTING:
        if isinstance(found.get(first), dict):
            found[first] = {key: value for key, value in found[first].items() if key != second}
    return found


def _compare(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _member(f"{path}.{_shown_key(key)}" if path else _shown_key(key), before, after, key)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _element(f"{path}[{index}]", before, after, index)
    else:
        yield f"  {path}: {_shown(before)} → {_shown(after)}"


def _member(path: str, before: Object, after: Object, key: str) -> Iterator[str]:
    if key not in before:
        yield f"+ {path}: {_shown(after[key])}"
    elif key not in after:
        yield f"- {path}: {_shown(before[key])}"
    else:
        yield from _compare(path, before[key], after[key])


def _element(path: str, before: list[Any], after: list[Any], index: int) -> Iterator[str]:
    if index >= len(before):
        yield f"+ {path}: {_shown(after[index])}"
    elif index >= len(after):
        yield f"- {path}: {_shown(before[index])}"
    else:
        yield from _compare(path, before[index], after[index])


def _shown_key(key: str) -> str:
    return json.dumps(key) if "." in key or "/" in key else key


def _shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
