import pytest

from kcpshard.cel.values import (
    MapList,
    SetList,
    Timestamp,
    UInt,
    concatenate,
    equal,
    parse_duration,
    parse_quantity,
    parse_semver,
    parse_timestamp,
    parse_word_duration,
    show_duration,
    show_timestamp,
)  # fmt: skip


def test_equality_is_by_type_and_number() -> None:
    assert equal(1, 1.0)
    assert equal(UInt(1), 1)
    assert not equal(1, True)
    assert not equal("1", 1)
    assert equal({"a": [1]}, {"a": [1.0]})


def test_lists_of_sets_and_maps() -> None:
    assert equal(SetList(["a", "b"]), ["b", "a"])
    assert concatenate(SetList(["a"]), ["a", "b"]) == ["a", "b"]
    keyed = MapList([{"k": 1, "v": 1}])
    keyed.keys = ("k",)
    assert concatenate(keyed, [{"k": 1, "v": 2}]) == [{"k": 1, "v": 2}]


def test_times() -> None:
    assert parse_timestamp("1970-01-01T01:00:00.5+01:00") == Timestamp(500_000_000)
    assert show_timestamp(Timestamp(500_000_000)) == "1970-01-01T00:00:00.5Z"
    assert show_duration(parse_duration("-1h30m")) == "-5400s"
    assert parse_word_duration("2 days").ns == 2 * 86400 * 10**9
    with pytest.raises(ValueError, match="1z"):
        parse_duration("1z")


def test_quantities_and_versions() -> None:
    assert parse_quantity("1500m") == parse_quantity("1.5")
    assert parse_quantity("1Ki") == parse_quantity("1024")
    assert parse_semver("1.0.0-rc.1").order() < parse_semver("1.0.0").order()
    assert parse_semver("v1.0", normalize=True) == parse_semver("1.0.0")
