"""How long to wait before a process that has died is started again."""

FIRST_S = 0.25
LONGEST_S = 10.0
# Having run this long, a process counts as healthy: its next death is a first one again.
HEALTHY_S = 60.0


class Backoff:
    """At once after the first death, then doubling up to LONGEST_S. No clock of its own."""

    def __init__(self) -> None:
        self._deaths = 0

    def delay_after(self, ran_s: float) -> float:
        """The wait that follows a death after `ran_s` seconds of running."""
        self._deaths = 1 if ran_s >= HEALTHY_S else self._deaths + 1
        if self._deaths == 1:
            return 0.0
        return min(LONGEST_S, FIRST_S * 2.0 ** min(self._deaths - 2, 16))
