"""What changes an object may be asked once more when others have changed it since. Two rounds, never more.

round 1  a, b(IfNeeded), c        c changes the object → b is to be asked again
round 2  b                        whatever it changes now, nobody is asked a third time
"""

from typing import Any

import orjson


class Invoked:
    """Policies, or webhooks, that were asked in this round: which of them want to be asked again, and whether that is
    needed. Keys tell them apart."""

    def __init__(self) -> None:
        self._last = b""  # the object as the last one left it
        self._reinvocable: set[str] = set()
        self._again: set[str] = set()

    def begin(self, is_second: bool, obj: Any) -> None:
        if is_second and self._last != _encoded(obj):
            self.require()

    def end(self, obj: Any) -> None:
        self._last = _encoded(obj)

    def require(self) -> None:
        """Something changed the object: those asked before are to see it."""
        self._again |= self._reinvocable
        self._reinvocable.clear()

    def note(self, key: str) -> None:
        """That it was asked, and wants to be asked again."""
        self._reinvocable.add(key)

    def is_wanted(self, key: str) -> bool:
        return key in self._again


class Reinvocation:
    """Of one write."""

    def __init__(self) -> None:
        self.is_second = self.is_wanted = False
        self.policies, self.webhooks = Invoked(), Invoked()

    @property
    def round(self) -> int:
        return int(self.is_second)


def _encoded(obj: Any) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
