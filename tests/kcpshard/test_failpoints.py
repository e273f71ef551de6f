import pytest

from kcpshard import failpoints


@pytest.fixture(autouse=True)
def disarm() -> None:
    failpoints.disarm()


def test_an_armed_point_acts_from_its_count_on() -> None:
    hits: list[int] = []
    failpoints.arm("a", lambda: hits.append(1), on_hit=3)
    for _ in range(4):
        failpoints.reach("a")
    failpoints.reach("b")
    assert hits == [1, 1]
    failpoints.disarm("a")
    assert not failpoints.armed


def test_points_are_armed_from_text() -> None:
    failpoints.arm_from("a=full,b=raise@2")
    with pytest.raises(OSError, match="No space left"):
        failpoints.reach("a")
    failpoints.reach("b")
    with pytest.raises(OSError, match="Input/output error"):
        failpoints.reach("b")
    failpoints.disarm()


def test_a_point_may_act_by_chance() -> None:
    failpoints.arm_from("always=full%1,never=full%0.0,sometimes=full@2%0.5")
    failpoints.reach("never")
    with pytest.raises(OSError, match="No space left"):
        failpoints.reach("always")
    failpoints.reach("sometimes")
    with pytest.raises(OSError, match="No space left"):
        for _ in range(200):
            failpoints.reach("sometimes")


@pytest.mark.parametrize("text", ["a", "a=explode", "a=kill@often", "a=kill%maybe"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"KCP_FAILPOINTS|invalid literal|could not convert"):
        failpoints.arm_from(text)
