"""The exact figures are compared by the recorded definitions of `test_schema_check`."""

from kcpshard.cel.checking import check
from kcpshard.cel.pricing import estimate
from kcpshard.cel.schema_types import type_of_schema

SCHEMA = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 25}}


def price(text: str) -> int:
    self_type = type_of_schema(SCHEMA)
    assert self_type is not None
    return estimate(check(text, {"self": self_type}), self_type)


def test_loops_multiply() -> None:
    one = price("self.all(x, x == 'a')")
    assert price("self.all(y, self.all(x, x == 'a'))") > 9 * one


def test_sizes_matter() -> None:
    assert price("self[0].contains(self[1])") > price("self[0].startsWith('a')")
    assert price("self.size() > 1") == 3
