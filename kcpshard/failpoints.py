"""Points that a test may arm, to make a process die, stall or fail exactly there.

By call (`arm("writer.before_sync", "raise")`) or by environment: KCP_FAILPOINTS="writer.before_sync=kill,other=exit@5"
(`@5`: from the fifth time on; before that the point is passed) or "…=kill%0.02" (each time with that probability, so
that a process which is started again dies elsewhere in its life). Code marks a point with

    if failpoints.armed:
        failpoints.reach("writer.before_sync")

so that an unarmed process pays one look at an empty dictionary.
"""

import errno
import os
import random
import signal
from collections.abc import Callable


class _Armed:
    __slots__ = ("act", "left", "probability")

    def __init__(self, act: Callable[[], None], left: int, probability: float) -> None:
        self.act, self.left, self.probability = act, left, probability


armed: dict[str, _Armed] = {}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _exit() -> None:
    os._exit(70)


def _raise(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


# kill and stop are what a machine does to a process; the others are what a disk does to a write.
ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "stop": _stop,
    "exit": _exit,
    "raise": _raise(errno.EIO),
    "full": _raise(errno.ENOSPC),
    "readonly": _raise(errno.EROFS),
}


def arm(name: str, action: str | Callable[[], None], on_hit: int = 1, probability: float = 1.0) -> None:
    """From the `on_hit`-th time that `name` is reached, do `action` (one of ACTIONS, or any callable)."""
    armed[name] = _Armed(ACTIONS[action] if isinstance(action, str) else action, on_hit, probability)


def disarm(name: str = "") -> None:
    """That one, or all of them."""
    if name:
        armed.pop(name, None)
    else:
        armed.clear()


def reach(name: str) -> None:
    found = armed.get(name)
    if found is None:
        return
    found.left -= 1
    if found.left <= 0 and (found.probability == 1.0 or random.random() < found.probability):  # noqa: S311
        found.act()


def arm_from(text: str) -> None:
    """Arm what KCP_FAILPOINTS says. Raises ValueError for an entry that is not name=action[@n][%probability]."""
    for entry in filter(None, text.split(",")):
        name, _, rest = entry.partition("=")
        rest, _, probability = rest.partition("%")
        action, _, count = rest.partition("@")
        if action not in ACTIONS:
            known = ", ".join(ACTIONS)
            raise ValueError(f"KCP_FAILPOINTS: {entry!r} is not name=action[@n][%probability] with one of {known}")
        arm(name, action, int(count or 1), float(probability or 1))


arm_from(os.environ.get("KCP_FAILPOINTS", ""))
