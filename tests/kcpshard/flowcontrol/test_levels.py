from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.flowcontrol.levels import UNLIMITED, Level, Levels, deal


def limited(shares: int, lend: int = 0, borrow: int | None = None, **queuing: int) -> tuple[str, dict[str, Any]]:
    given: dict[str, Any] = {"nominalConcurrencyShares": shares, "lendablePercent": lend}
    if borrow is not None:
        given["borrowingLimitPercent"] = borrow
    given["limitResponse"] = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
    return "uid", {"type": "Limited", "limited": given}


EXEMPT = ("uid", {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}})


def levels(seats: int, **specs: tuple[str, dict[str, Any]]) -> Levels[str]:
    made: Levels[str] = Levels()
    made.configure(specs, seats)
    return made


def fill(made: Levels[str], level: Level[str]) -> int:
    count = 0
    while count < 1000 and made.may_start(level):
        made.take(level)
        count += 1
    return count


def test_seats_are_divided_by_shares_and_rounded_up() -> None:
    made = levels(100, a=limited(30), b=limited(60), exempt=EXEMPT)
    assert (made.by_name["a"].nominal, made.by_name["b"].nominal) == (34, 67)
    assert made.by_name["exempt"].nominal == UNLIMITED


def test_a_level_that_lends_nothing_keeps_its_seats() -> None:
    made = levels(10, a=limited(1), b=limited(1))
    assert fill(made, made.by_name["a"]) == 5
    assert fill(made, made.by_name["b"]) == 5


def test_what_may_be_lent_and_is_not_used_is_borrowed() -> None:
    made = levels(20, a=limited(1), b=limited(1, lend=50))
    a, b = made.by_name["a"], made.by_name["b"]
    made.take(b)
    assert fill(made, a) == 15
    assert fill(made, b) == 9, "its own seats, whoever has borrowed them"


def test_the_more_a_lender_uses_the_less_is_to_be_borrowed() -> None:
    made = levels(20, a=limited(1), b=limited(1, lend=50))
    assert fill(made, made.by_name["b"]) == 10
    assert fill(made, made.by_name["a"]) == 10


def test_a_borrowing_limit_holds() -> None:
    made = levels(20, a=limited(1, borrow=20), b=limited(1, lend=100))
    assert fill(made, made.by_name["a"]) == 12


def test_a_level_of_no_shares_has_no_seat() -> None:
    made = levels(20, a=limited(0), b=limited(1))
    assert not made.may_start(made.by_name["a"])


def test_who_may_not_wait_is_refused() -> None:
    made = levels(2, a=limited(1))
    assert not made.wait(made.by_name["a"], "flow", "x")


def test_queues_are_served_in_turn_and_the_shortest_of_a_hand_is_joined() -> None:
    made = levels(1, a=limited(1, queues=64, handSize=1, queueLengthLimit=3))
    a = made.by_name["a"]
    made.take(a)
    assert [made.wait(a, "many", f"many-{n}") for n in range(4)] == [True, True, True, False]
    assert made.wait(a, "few", "few-0")
    assert made.next() is None, "no seat"
    served = []
    made.release(a)
    while (found := made.next()) is not None:
        served.append(found)
    assert served == ["many-0", "few-0", "many-1", "many-2"]
    assert (made.waiting, a.waiting, a.lines) == (0, 0, {})


def test_who_gives_up_leaves_its_place() -> None:
    made = levels(1, a=limited(1, queues=4, handSize=2, queueLengthLimit=1))
    a = made.by_name["a"]
    made.take(a)
    assert [made.wait(a, "f", name) for name in "xyz"] == [True, True, False]
    made.withdraw(a, "x")
    made.withdraw(a, "unknown")
    assert made.waiting == 1
    assert made.wait(a, "f", "z")


def test_who_waits_in_a_deleted_level_waits_no_more() -> None:
    specs = {"a": limited(1, queues=1, handSize=1, queueLengthLimit=5), "b": limited(1)}
    made: Levels[str] = Levels()
    made.configure(specs, 2)
    a = made.by_name["a"]
    made.take(a)
    assert made.wait(a, "f", "x")
    made.configure({"b": specs["b"]}, 2)
    assert (made.next(), made.next()) == ("x", None)


def test_more_shares_let_those_in_who_wait() -> None:
    spec = limited(1, queues=1, handSize=1, queueLengthLimit=5)
    made = levels(2, a=spec, b=limited(1))
    a = made.by_name["a"]
    made.take(a)
    assert made.wait(a, "f", "x")
    made.configure({"a": spec}, 2)
    assert made.next() == "x"


@given(st.integers(0, 2**128 - 1), st.integers(1, 64), st.integers(1, 8))
def test_a_hand_holds_different_queues(value: int, cards: int, hand: int) -> None:
    hand = min(hand, cards)
    dealt = deal(value, cards, hand)
    assert len(set(dealt)) == hand
    assert all(0 <= each < cards for each in dealt)
