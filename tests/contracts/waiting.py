"""Waiting for what other threads and processes bring about."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], text: str) -> None:
    """Fails with `text` after half a minute."""
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, text
        time.sleep(0.02)
