import pytest

from kcpshard.cel.checking import check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.types import STRING


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("int('1') == 1", ""), ("int('x') == 1", "type conversion error from 'string' to 'int'"), ("int(self) == 1", "")],
)
def test_constants(text: str, wanted: str) -> None:
    assert constant_fault(check(text, {"self": STRING})) == wanted
