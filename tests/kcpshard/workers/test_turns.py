from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.workers.turns import FairTurns


def test_one_key_is_served_in_order() -> None:
    turns: FairTurns[int] = FairTurns(10, 10)
    for n in range(3):
        assert turns.put("a", n)
    assert [turns.take() for _ in range(4)] == [("a", 0), ("a", 1), ("a", 2), None]


def test_a_latecomer_does_not_wait_behind_a_flood() -> None:
    turns: FairTurns[str] = FairTurns(1000, 1000)
    for _ in range(500):
        turns.put("flood", "f")
    for _ in range(10):
        assert turns.take() == ("flood", "f")
        turns.charge("flood", 1.0)
    turns.put("quiet", "q")
    order = []
    for _ in range(3):
        found = turns.take()
        assert found is not None
        order.append(found[1])
        turns.charge(found[0], 1.0)
    assert "q" in order[:2]


def test_shares_are_of_cost_not_of_number() -> None:
    turns: FairTurns[str] = FairTurns(10_000, 10_000)
    for _ in range(1000):
        turns.put("dear", "d")
        turns.put("cheap", "c")
    served: Counter[str] = Counter()
    spent = 0.0
    while spent < 200:
        found = turns.take()
        assert found is not None
        cost = 10.0 if found[0] == "dear" else 1.0
        spent += cost
        served[found[0]] += 1
        turns.charge(found[0], cost)
    assert 0.7 < served["dear"] * 10 / served["cheap"] < 1.5


def test_weights() -> None:
    turns: FairTurns[str] = FairTurns(10_000, 10_000)
    turns.weigh("heavy", 3.0)
    for _ in range(400):
        turns.put("heavy", "h")
        turns.put("light", "l")
    served: Counter[str] = Counter()
    for _ in range(200):
        found = turns.take()
        assert found is not None
        served[found[0]] += 1
        turns.charge(found[0], 1.0)
    assert 2.5 < served["heavy"] / served["light"] < 3.5


def test_silence_is_not_saved_up() -> None:
    turns: FairTurns[str] = FairTurns(10_000, 10_000)
    for _ in range(100):
        turns.put("busy", "b")
        turns.take()
        turns.charge("busy", 1.0)
    for _ in range(50):
        turns.put("busy", "b")
        turns.put("new", "n")
    served: Counter[str] = Counter()
    for _ in range(20):
        found = turns.take()
        assert found is not None
        served[found[1]] += 1
        turns.charge(found[0], 1.0)
    assert served["b"] >= 8


def test_bounds() -> None:
    turns: FairTurns[int] = FairTurns(3, 2)
    assert turns.put("a", 1) and turns.put("a", 2)
    assert not turns.put("a", 3)
    assert turns.put("b", 1)
    assert not turns.put("c", 1)
    assert len(turns) == 3


def test_what_is_withdrawn_is_not_served() -> None:
    turns: FairTurns[int] = FairTurns(10, 10)
    turns.put("a", 1)
    turns.put("b", 2)
    assert turns.withdraw("a", 1)
    assert not turns.withdraw("a", 1)
    assert list(turns.drain()) == [2]


def test_idle_keys_are_forgotten() -> None:
    turns: FairTurns[int] = FairTurns(10, 10)
    for n in range(20_000):
        turns.put(str(n), n)
        turns.take()
        turns.charge(str(n), 0.0)
    assert len(turns._accounts) < 5000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 10)), max_size=60))
def test_everything_put_is_taken_once(items: list[tuple[str, float]]) -> None:
    turns: FairTurns[int] = FairTurns(1000, 1000)
    taken = []
    for n, (key, cost) in enumerate(items):
        turns.put(key, n)
        if n % 3 == 2 and (found := turns.take()) is not None:
            taken.append(found[1])
            turns.charge(found[0], cost)
    taken += list(turns.drain())
    assert sorted(taken) == list(range(len(items)))
