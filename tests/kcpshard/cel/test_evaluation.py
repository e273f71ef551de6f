import pytest

from kcpshard.cel.checking import check
from kcpshard.cel.evaluation import CostExceeded, Program
from kcpshard.cel.types import DYN
from kcpshard.cel.values import EvalFault


def value(text: str, self_value: object = None) -> object:
    return Program(check(text, {"self": DYN}), ("self",)).evaluate(self_value)[0]


def test_errors_are_absorbed_by_what_decides() -> None:
    assert value("1/0 > 1 || true") is True
    assert value("1/0 > 1 && false") is False
    with pytest.raises(EvalFault, match="division by zero"):
        value("1/0 > 1 || false")


def test_loops_may_stand_in_loops() -> None:
    assert value("[1, 2].map(x, [3, 4].map(y, x * y))") == [[3, 4], [6, 8]]
    assert value("[1, 2].all(x, [1, 2].exists(x, x == 2) && x < 3)") is True


def test_a_loop_ends_at_the_limit() -> None:
    with pytest.raises(CostExceeded):
        value("self.all(x, self.all(y, true))", list(range(2000)))
