import pytest

from kcpfront.authentication.credential import digest
from kcpfront.authentication.static_tokens import TokenFileError, read_token_lines


def test_each_line_is_a_token() -> None:
    found = read_token_lines(['s3cret,ada,u1,"system:masters, devs"\n', "\n", "# other\n", "other,bob,u2\n"])
    assert found.keys() == {digest("s3cret"), digest("other")}
    assert found[digest("s3cret")].groups == ("system:masters", "devs", "system:authenticated")
    assert found[digest("other")][:3] == ("bob", "u2", ("system:authenticated",))


@pytest.mark.parametrize("line", ["only,two\n", ",name,uid\n", "token,,uid\n"])
def test_a_broken_token_file_is_refused(line: str) -> None:
    with pytest.raises(TokenFileError, match="line 2"):
        read_token_lines(["# comment\n", line])
