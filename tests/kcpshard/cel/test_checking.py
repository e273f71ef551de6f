import pytest

from kcpshard.cel.checking import CompileFault, check
from kcpshard.cel.types import INT, STRING, list_of, struct

VARIABLES = {"self": struct({"a": INT, "l": list_of(STRING)}, 2)}


@pytest.mark.parametrize(
    ("text", "type_"),
    [("self.a > 1", "bool"), ("self.l.map(x, x.size())", "list(int)"), ("[?self.?a]", "list(int)"), ("dyn(1)", "dyn")],
)
def test_types(text: str, type_: str) -> None:
    assert str(check(text, VARIABLES).root.type) == type_


def test_faults_are_drawn() -> None:
    with pytest.raises(CompileFault) as caught:
        check("self.a +\n self.b", VARIABLES)
    assert str(caught.value) == "ERROR: <input>:2:6: undefined field 'b'\n |  self.b\n | .....^"


def test_depth_is_bounded() -> None:
    check("+".join(["1"] * 100), {})
    with pytest.raises(CompileFault, match="recursion limit"):
        check("+".join(["1"] * 1000), {})


def test_which_variables_are_mentioned() -> None:
    assert check("1 < self.a", VARIABLES).names == {"self"}
    assert check("1 < 2", VARIABLES).names == frozenset()
