from collections.abc import Iterator

import pytest

from kcpshard.api import loop_time
from kcpshard.api.loop_time import TooLong


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The bounds are the process's: a server that another test started may have set them."""
    loop_time.bound(1 << 62, 1 << 62)
    yield
    loop_time.bound(1 << 62, 1 << 62)


def test_everything_is_allowed_until_bounds_are_set() -> None:
    loop_time.check_size(1 << 30)
    loop_time.bound(large_bytes=10, cel_units=7)
    with pytest.raises(TooLong):
        loop_time.check_size(11)
    loop_time.check_size(10)
    assert loop_time.cel_units() == 7


def test_bounds_may_be_lifted_for_a_while() -> None:
    loop_time.bound(large_bytes=10)
    with loop_time.unbounded():
        loop_time.check_size(11)
    with pytest.raises(TooLong):
        loop_time.check_size(11)
