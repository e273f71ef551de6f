"""Waiting for what other threads and processes bring about."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], text: str, within_s: float = 30) -> None:
    """Fails with `text` if it does not come about."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, text
        time.sleep(0.02)
