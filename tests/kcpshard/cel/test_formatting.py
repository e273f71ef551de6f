import pytest

from kcpshard.cel.formatting import format_string, quote
from kcpshard.cel.values import EvalFault


def test_clauses() -> None:
    assert format_string("%s %d %.2f %x%%", ["a", 1, 1234.5, 255]) == "a 1 1,234.50 ff%"
    assert format_string("%s", [["a", {"k": 1}]]) == '["a", {"k":1}]'
    assert quote('a"b') == '"a\\"b"'


@pytest.mark.parametrize(("template", "arguments"), [("%d", ["a"]), ("%s %s", ["a"]), ("%z", ["a"])])
def test_faults(template: str, arguments: list[object]) -> None:
    with pytest.raises(EvalFault):
        format_string(template, arguments)
