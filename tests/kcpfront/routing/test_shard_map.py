import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.routing import shard_map as module
from kcpfront.routing.shard_map import ShardMap
from kcpshard.api.slots import even_table, slot_of
from tests.kcpfront.routing.fake_shards import make_map


def adopted(*maps: object) -> ShardMap:
    found = ShardMap()
    for message in maps:
        found.adopt(message)  # type: ignore[arg-type]
    return found


def test_without_a_map_nobody_owns_anything() -> None:
    assert ShardMap().owner("root") == 0


@given(st.from_regex(r"[a-z0-9]{1,9}(:[a-z0-9]{1,9}){0,3}", fullmatch=True))
def test_the_slot_decides(path: str) -> None:
    assert adopted(make_map(1, 3)).owner(path) == even_table(3)[slot_of(path)]


def test_pins_come_before_slots_and_answers_before_pins() -> None:
    found = adopted(make_map(1, 3, root=3))
    assert found.owner("root") == 3
    found.learn("root", 2)
    assert found.owner("root") == 2
    found.learn("root", 0)
    assert found.owner("root") == 3


def test_an_older_map_is_not_taken() -> None:
    found = adopted(make_map(2, 3))
    assert not found.adopt(make_map(2, 1))
    assert not found.adopt(make_map(1, 1))
    assert len(found.shards) == 3


def test_a_newer_map_forgets_what_was_learned() -> None:
    found = adopted(make_map(1, 1))
    found.learn("root", 7)
    found.adopt(make_map(2, 1))
    assert found.owner("root") == 1
    assert found.learned() == 0


def test_a_damaged_map_changes_nothing() -> None:
    found = adopted(make_map(1, 1))
    damaged = make_map(2, 2)
    damaged.slots = b"short"
    with pytest.raises(ValueError, match="slot table"):
        found.adopt(damaged)
    assert (found.epoch, found.owner("root")) == (1, 1)


def test_what_is_learned_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MOVED", 3)
    found = adopted(make_map(1, 1))
    for name in "abcd":
        found.learn(name, 9)
    assert [found.owner(name) for name in "abcd"] == [1, 9, 9, 9]
