import pytest

from kcpshard.api.service_accounts import groups, parse_username, scope_of, username


def test_names_round_trip() -> None:
    assert parse_username(username("ns", "sa")) == ("ns", "sa")
    assert groups("ns")[1] == "system:serviceaccounts:ns"


@pytest.mark.parametrize(
    "user", ["ann", "system:serviceaccount:", "system:serviceaccount:a", "system:serviceaccount:a:b:c"]
)
def test_others_are_no_accounts(user: str) -> None:
    assert parse_username(user) is None


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"kcp.io": {"cluster": "12"}}, 12),
        ({"kcp.io": {"cluster": 12}}, 0),
        ({"kcp.io": {"cluster": "-1"}}, 0),
        ({"kcp.io": {"cluster": "9" * 20}}, 0),
        ({"kcp.io": []}, 0),
        ({}, 0),
    ],
)
def test_a_token_names_its_logical_cluster(claims: dict[str, object], scope: int) -> None:
    assert scope_of(claims) == scope
