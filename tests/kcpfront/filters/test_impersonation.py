import orjson
import pytest
from multidict import CIMultiDict

from kcpfront.exchange import Exchange
from kcpfront.filters.impersonation import read_impersonation
from kcpshard.api.errors import BadRequest
from tests.kcpfront.exchanges import exchange


def asked(*headers: tuple[str, str]) -> Exchange:
    made = exchange()
    made.headers = CIMultiDict(headers)
    return made


def test_nobody_is_the_rule() -> None:
    made = asked(("Accept", "*/*"), ("Impersonator", "x"))
    read_impersonation(made)
    assert made.impersonation == b""


def test_all_parts_of_an_identity() -> None:
    made = asked(
        ("impersonate-user", "ann"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("IMPERSONATE-GROUP", "b"),
        ("Impersonate-Extra-Scopes", "x"),
        ("Impersonate-Extra-scopes", "y"),
        ("Impersonate-Extra-acme.com%2Fproject", "p"),
    )
    read_impersonation(made)
    assert orjson.loads(made.impersonation) == {
        "username": "ann",
        "uid": "7",
        "groups": ["a", "b"],
        "extra": {"scopes": ["x", "y"], "acme.com/project": ["p"]},
    }


@pytest.mark.parametrize("name", ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-a", "Impersonate-Else"])
def test_parts_without_a_user_do_not_go_unnoticed(name: str) -> None:
    with pytest.raises(BadRequest, match="without impersonating a user"):
        read_impersonation(asked((name, "x")))
