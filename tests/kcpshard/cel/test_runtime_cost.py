from kcpshard.cel.checking import check
from kcpshard.cel.evaluation import Program
from kcpshard.cel.types import STRING

TEXT = "x" * 100


def cost(text: str) -> int:
    return Program(check(text, {"self": STRING}), ("self",)).evaluate(TEXT)[1]


def test_costs_follow_sizes() -> None:
    assert cost("self.size() == 1") == 3
    assert cost("self == self") == 2 + 10
    assert cost("self.contains(self)") == 2 + 100
    assert cost("self.matches('abcd')") == 1 + 11
    assert cost("[1, 2].all(x, x > 0)") == 10 + 2 * (3 + 2) + 1
