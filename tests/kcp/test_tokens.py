import pytest

from kcp.tokens import StaticToken, administrator, controllers, format_tokens, new_token, parse_tokens


def test_tokens_are_long_and_differ() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert all(len(new_token()) >= 43 for _ in range(100))


def test_the_file_has_the_columns_of_kube_apiserver() -> None:
    text = format_tokens([StaticToken("secret", "alice", "1", ("devs", "ops")), StaticToken("other", "bob", "2")])
    assert text == 'secret,alice,1,"devs,ops"\nother,bob,2,\n'


def test_what_is_written_is_read() -> None:
    tokens = [administrator(), StaticToken("other", 'b,o"b', "2")]
    assert list(parse_tokens(format_tokens(tokens))) == tokens


def test_three_columns_are_enough_and_empty_lines_are_skipped() -> None:
    assert list(parse_tokens("secret,alice,1\n\n")) == [StaticToken("secret", "alice", "1")]


@pytest.mark.parametrize("line", ["secret", "secret,alice", ",alice,1"])
def test_a_short_line_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ValueError, match="line 1 does not have a token, a user and a uid"):
        list(parse_tokens(line))


def test_the_administrator_is_a_master() -> None:
    assert administrator().groups == ("system:masters",)


def test_the_controllers_have_a_name_of_their_own() -> None:
    assert controllers().user == "system:kcp:controllers" != administrator().user
