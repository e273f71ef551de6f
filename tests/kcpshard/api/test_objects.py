import pytest

from kcpshard.api.objects import are_same, drop_empty, go_text, is_terminating, metadata, timestamp


def test_metadata_is_made_where_it_is_missing() -> None:
    obj: dict[str, object] = {"metadata": None}
    metadata(obj)["name"] = "a"
    assert obj == {"metadata": {"name": "a"}}


def test_empty_members_go_but_zero_and_false_stay() -> None:
    members = {"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False, "g": "x"}
    drop_empty(members)
    assert members == {"e": 0, "f": False, "g": "x"}


def test_timestamps_have_whole_seconds() -> None:
    assert timestamp(1_700_000_000_999_999) == "2023-11-14T22:13:20Z"


def test_terminating() -> None:
    assert is_terminating({"metadata": {"deletionTimestamp": "2023-11-14T22:13:20Z"}})
    assert not is_terminating({"metadata": {}})


def test_values_as_go_shows_them() -> None:
    assert go_text({"b": [1, "x", None], "a": {"c": True}}) == "map[a:map[c:true] b:[1 x <nil>]]"


@pytest.mark.parametrize(("one", "other", "same"), [
    ({"a": 1, "b": [True]}, {"b": [True], "a": 1}, True), ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, False),
    (1, True, False), (0, False, False), (1, 1.0, False), ([1], [1.0], False), ("1", 1, False), ({}, {}, True),
    (None, None, True), ({}, [], False), ("x", "x", True),
])  # fmt: skip
def test_sameness_tells_true_from_one(one: object, other: object, same: bool) -> None:
    assert are_same(one, other) is same
