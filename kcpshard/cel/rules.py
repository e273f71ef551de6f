"""The x-kubernetes-validations of a CRD: what is wrong with them, and what they say of an object.

Not complete yet: until the evaluator is in, no rule is refused and none is evaluated.
"""

from collections.abc import Mapping
from typing import Any

from kcpshard.api.errors import FieldError
from kcpshard.schema.structural import Structural


class Rules:
    """All rules of one schema, compiled. Shared; never changed."""

    def validate(self, new: Mapping[str, Any], old: Mapping[str, Any] | None, path: str = "") -> list[FieldError]:
        """Every rule that `new` breaks. `old` is what is stored, None on create; `path` is that of the whole object."""
        return []


def check_schema(raw: Mapping[str, Any], path: str) -> list[FieldError]:
    """What is wrong with the rules in the openAPIV3Schema at `path`; call it when the schema is structural."""
    return []


def compile_rules(structural: Structural) -> Rules | None:
    """The rules of a custom resource's schema; None if it has none."""
    return None
