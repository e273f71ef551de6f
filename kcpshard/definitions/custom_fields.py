"""Fields of custom resources that are reached by the simple JSON paths of a definition: selectable ones and scale's.

Such a path is `.spec.a.b`; scale paths may also have the key of a map in brackets. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api.errors import ApiError, FieldError, invalid
from kcpshard.api.selectors import parse_label_selector
from kcpshard.definitions.contract import Object

_STEP = re.compile(r"\.?([^.\[\]]+)|\[['\"]?([^\]'\"]*)['\"]?\]")
_MAX_REPLICAS = 2**31 - 1


def steps_of(path: str) -> tuple[str, ...]:
    return tuple(plain or quoted for plain, quoted in _STEP.findall(path))


def value_at(obj: Any, steps: Sequence[str]) -> Any:
    """None if there is nothing."""
    for step in steps:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def set_at(obj: Object, steps: Sequence[str], value: Any) -> None:
    """Maps on the way are made; anything else in the way is replaced."""
    for step in steps[:-1]:
        inner = obj.get(step)
        if not isinstance(inner, dict):
            inner = obj[step] = {}
        obj = inner
    obj[steps[-1]] = value


class SelectableField(NamedTuple):
    path: str  # ".spec.color"
    label: str  # "spec.color"
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, path: str) -> "SelectableField":
        return cls(path, path.removeprefix("."), steps_of(path))


def selectable_fields(obj: Object, fields: Sequence[SelectableField]) -> Mapping[str, str]:
    return {field.label: _text(value_at(obj, field.steps)) for field in fields}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def scale_faults(obj: Object, scale: Mapping[str, str] | None) -> Iterator[FieldError]:
    """What the scale subresource will read must be readable."""
    if scale is None:
        return
    for member in ("specReplicasPath", "statusReplicasPath"):
        path = scale.get(member) or ""
        replicas = value_at(obj, steps_of(path))
        if replicas is None:
            continue
        if isinstance(replicas, bool) or not isinstance(replicas, int):
            yield invalid(path, replicas, "should be an integer")
        elif replicas < 0:
            yield invalid(path, replicas, "should be a non-negative integer")
        elif replicas > _MAX_REPLICAS:
            yield invalid(path, replicas, f"should be less than or equal to {_MAX_REPLICAS}")
    path = scale.get("labelSelectorPath") or ""
    selector = value_at(obj, steps_of(path)) if path else None
    if isinstance(selector, str) and selector:
        try:
            parse_label_selector(selector)
        except ApiError as fault:
            yield invalid(path, selector, str(fault))
