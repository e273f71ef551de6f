import pytest

from kcpshard.cel.types import DYN, INT, NULL, STRING, Type, assignable, escape, list_of, struct, unescape


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("a", "a"), ("if", "__if__"), ("a-b", "a__dash__b"), ("a.b/c", "a__dot__b__slash__c"),
     ("a__b", "a__underscores__b"),
     ("1a", None), ("a b", None), ("", None)],
)  # fmt: skip
def test_names(name: str, escaped: str | None) -> None:
    assert escape(name) == escaped
    if escaped is not None:
        assert unescape(escaped) == name


def test_assignability() -> None:
    param = Type("param", "A")
    bindings: dict[Type, Type] = {}
    assert assignable(list_of(INT), list_of(param), bindings)
    assert bindings == {param: INT}
    assert not assignable(STRING, param, bindings)
    assert assignable(DYN, STRING, {})
    assert assignable(NULL, struct({}, 2), {})
    assert not assignable(NULL, list_of(INT), {})
