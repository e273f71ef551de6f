"""The selectors of an access review: by which fields and labels the request that it asks about would be narrowed.

What cannot be understood narrows nothing, and is told as an evaluation error: newer clients know operators that we
do not.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kcpshard.api.errors import ApiError, FieldError, forbidden, invalid, required
from kcpshard.api.objects import Object
from kcpshard.api.selectors import (
    FieldTerm,
    Requirement,
    label_value_faults,
    parse_field_terms,
    parse_label_selector,
    qualified_name_faults,
)
from kcpshard.authorization.attributes import by_key, in_order

_PATH = "spec.resourceAttributes"
_LABEL_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_FIELD_OPERATORS = {"In": True, "NotIn": False}


class Narrowed(NamedTuple):
    """`error` is empty if everything was understood."""

    fields: tuple[FieldTerm, ...] = ()
    labels: tuple[Requirement, ...] = ()
    error: str = ""


def selector_faults(attributes: Object) -> list[FieldError]:
    """Of resourceAttributes."""
    faults: list[FieldError] = []
    for member, each in (("fieldSelector", _field_faults), ("labelSelector", _label_faults)):
        if (selector := attributes.get(member)) is not None:
            faults += _faults(selector, f"{_PATH}.{member}", each)
    return faults


def _faults(selector: Object, path: str, each: Callable[[Object, str], list[FieldError]]) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
    faults: list[FieldError] = []
    if raw and requirements:
        text = "may not specified at the same time as requirements"
        faults.append(invalid(f"{path}.rawSelector", raw, text))
    if not raw and not requirements:
        text = f"when {path} is specified, requirements or rawSelector is required"
        faults.append(required(f"{path}.requirements", text))
    for place, requirement in enumerate(requirements):
        faults += each(requirement, f"{path}.requirements[{place}]")
    return faults


def _field_faults(requirement: Object, path: str) -> list[FieldError]:
    faults = [] if requirement.get("key") else [required(f"{path}.key", "must be specified")]
    return faults + _value_faults(requirement, path)


def _label_faults(requirement: Object, path: str) -> list[FieldError]:
    key = requirement.get("key") or ""
    faults = _value_faults(requirement, path)
    faults += [invalid(f"{path}.key", key, text) for text in qualified_name_faults(key)]
    for place, value in enumerate(requirement.get("values") or ()):
        faults += [invalid(f"{path}.values[{place}]", value, text) for text in label_value_faults(value)]
    return faults


def _value_faults(requirement: Object, path: str) -> list[FieldError]:
    operator, values = requirement.get("operator"), requirement.get("values") or ()
    if operator in ("In", "NotIn") and not values:
        return [required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in ("Exists", "DoesNotExist") and values:
        return [forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    return []


def narrowed(attributes: Object) -> Narrowed:
    """`attributes` are without faults."""
    fields, field_error = _read(attributes, "fieldSelector", lambda text: in_order(parse_field_terms(text)), _term)
    labels, label_error = _read(
        attributes, "labelSelector", lambda text: by_key(parse_label_selector(text).requirements), _requirement
    )
    return Narrowed(fields, labels, "; ".join(filter(None, (field_error, label_error))))


def _read(
    attributes: Object, member: str, parse: Callable[[str], Sequence[Any]], one: Callable[[Object], Any]
) -> tuple[tuple[Any, ...], str]:
    selector = attributes.get(member) or {}
    raw, is_whole = selector.get("rawSelector") or "", True
    found: list[Any] = []
    if raw:
        try:
            found = list(parse(raw))
        except ApiError:
            is_whole = False
    for requirement in selector.get("requirements") or ():
        understood = one(requirement)
        if understood is None:
            is_whole = False
        else:
            found.append(understood)
    if is_whole:
        return tuple(found), ""
    return tuple(found), f"{_PATH}.{member} {'partially ' if found else ''}ignored due to parse error"


def _term(requirement: Object) -> FieldTerm | None:
    values: Sequence[str] = requirement.get("values") or ()
    is_equal = _FIELD_OPERATORS.get(requirement.get("operator", ""))
    return None if is_equal is None or len(values) != 1 else FieldTerm(requirement["key"], is_equal, values[0])


def _requirement(requirement: Object) -> Requirement | None:
    operator = _LABEL_OPERATORS.get(requirement.get("operator", ""))
    if operator is None:
        return None
    return Requirement(requirement["key"], operator, tuple(requirement.get("values") or ()))
