"""LabelSelector as objects write it (matchLabels, matchExpressions), in the form that queries have.

Pure. No selector at all selects nothing; an empty one selects everything (apimachinery `LabelSelectorAsSelector`).
"""

from typing import Any

from kcpshard.api.selectors import LabelSelector, Requirement

Object = dict[str, Any]

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class InvalidSelector(ValueError):
    """An operator that does not exist, or values where there may be none."""


def requirements_of(selector: Object) -> list[Requirement]:
    """By key, values in order, as kube-apiserver writes them. Raises InvalidSelector."""
    found = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator, values = _OPERATORS.get(expression.get("operator", "")), expression.get("values") or ()
        if operator is None or (operator in ("in", "notin")) is not bool(values):
            raise InvalidSelector(expression)
        found.append(Requirement(expression.get("key", ""), operator, tuple(sorted(values))))
    return sorted(found, key=lambda requirement: requirement.key)


def selector_of(selector: Object | None) -> LabelSelector | None:
    """None selects nothing. Raises InvalidSelector."""
    return None if selector is None else LabelSelector(requirements_of(selector))


def selector_text(selector: Object | None) -> str:
    """As `status.selector` of a Scale has it; of none the empty string. Raises InvalidSelector."""
    return "" if selector is None else str(selector_of(selector))
