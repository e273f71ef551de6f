from typing import Any

import pytest

from kcpshard.cel import operators
from kcpshard.cel.values import EvalFault


def test_division_goes_towards_zero() -> None:
    assert operators.divide(-7, 2) == -3
    assert operators.modulo(-7, 3) == -1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: operators.add(2**63 - 1, 1), "integer overflow"),
        (lambda: operators.divide(1, 0), "division by zero"),
        (lambda: operators.modulo(1, 0), "modulus by zero"),
        (lambda: operators.index([], 0), "index out of bounds: 0"),
        (lambda: operators.index({}, "a"), "no such key: a"),
        (lambda: operators.add(1, "a"), "no such overload"),
        (lambda: operators.to_int("x"), "type conversion error from 'string' to 'int'"),
    ],
)
def test_faults(call: Any, message: str) -> None:
    with pytest.raises(EvalFault, match=message):
        call()


@pytest.mark.parametrize(("value", "text"), [(1.5, "1.5"), (1e100, "1e+100"), (100000.0, "100000"), (0.00001, "1e-05")])
def test_doubles_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert operators.to_string(value) == text
