import pytest

from kcpshard.cel.syntax import Call, Fold, Literal, SyntaxFault, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x1F", 31), ("-7", -7), ("1e3", 1000.0), (r"'\u00e9\n'", "é\n"), (r"r'\d'", r"\d"), ("b'\\xff'", b"\xff")],
)
def test_literals(text: str, value: object) -> None:
    node = parse(text)
    assert isinstance(node, Literal)
    assert node.value == value


def test_precedence() -> None:
    node = parse("1 + 2 * 3 == 7 && !a")
    assert isinstance(node, Call)
    assert node.function == "_&&_"
    left = node.args[0]
    assert isinstance(left, Call)
    assert left.function == "_==_"


def test_macros_are_folds() -> None:
    assert isinstance(parse("a.all(x, x)"), Fold)
    assert isinstance(parse("a.all(x)"), Call)


@pytest.mark.parametrize("text", ["", "a +", "(a", "a..b", "'x", "if", "a)", "a.`b`", "[1", "9223372036854775808"])
def test_what_is_not_an_expression(text: str) -> None:
    with pytest.raises(SyntaxFault):
        parse(text)


def test_depth_is_bounded_and_long_chains_are_flat() -> None:
    parse(" && ".join(["a"] * 2000))
    with pytest.raises(SyntaxFault):
        parse("(" * 300 + "a" + ")" * 300)
