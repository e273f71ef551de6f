from datetime import UTC, datetime
from typing import Any

from kcpsyncer.controllers.division import is_renewed, lease, members, owner

ITEMS = [f"item-{number}" for number in range(200)]


def test_each_item_has_one_owner_and_all_have_a_share() -> None:
    shares = [owner(item, ["a", "b", "c"]) for item in ITEMS]
    assert all(shares.count(member) > 30 for member in "abc")
    assert [owner(item, ["c", "a", "b"]) for item in ITEMS] == shares
    assert owner("x", []) == ""


def test_a_member_that_leaves_moves_only_its_own() -> None:
    before = {item: owner(item, ["a", "b", "c"]) for item in ITEMS}
    after = {item: owner(item, ["a", "b"]) for item in ITEMS}
    assert all(after[item] == before[item] for item in ITEMS if before[item] != "c")


def made(name: str, second: int) -> dict[str, Any]:
    return lease(name, "default", 12, datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))


def test_who_is_seen_to_renew_lives() -> None:
    leases = [made("a", 0), made("b", 0), made("c", 0)]
    assert members(leases, {"a": 90.0, "b": 80.0}, now=100.0) == ["a"]


def test_a_renewal_is_a_change_of_its_time() -> None:
    assert is_renewed(None, made("a", 0)) and is_renewed(made("a", 0), made("a", 1))
    assert not is_renewed(made("a", 0), made("a", 0))
