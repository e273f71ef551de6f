"""How large bodies may be for whom: what a shard has refused for its size is refused here at once for a while, unread.

Only to whom the shard has said so: others are not told that the logical cluster has a limit, or exists. Pure.
"""

import orjson

from kcpshard.api.body_limit import LIMIT_CAUSE

KEPT_S = 10.0  # so long a raised limit may go unnoticed
_MOST = 4096  # when full all are forgotten: then the shard says it once more
Key = tuple[str, bytes, bytes]  # logical cluster, who asks, as whom


class BodyLimits:
    def __init__(self) -> None:
        self._known: dict[Key, tuple[float, int]] = {}  # until when, bytes

    def of(self, key: Key, usual: int, now: float) -> int:
        if not self._known:
            return usual
        found = self._known.get(key)
        if found is None:
            return usual
        if found[0] < now:
            del self._known[key]
            return usual
        return min(usual, found[1])

    def learn(self, key: Key, refusal: bytes, now: float) -> None:
        """`refusal`: the Status of an answer 413."""
        limit = _limit_in(refusal)
        if limit is None:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (now + KEPT_S, limit)


def _limit_in(refusal: bytes) -> int | None:
    try:
        causes = (orjson.loads(refusal).get("details") or {}).get("causes") or ()
        return next((int(cause["message"]) for cause in causes if cause.get("reason") == LIMIT_CAUSE), None)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None
