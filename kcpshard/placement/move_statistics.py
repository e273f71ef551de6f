"""What a shard counts of the logical clusters that it takes from others, for metrics."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

# Seconds in which nobody could write: a few syncs, on a disk of any kind.
PAUSE_BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
# Log records that were copied while nobody could write.
RECORD_BOUNDS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10_000.0)


class Counts:
    """A histogram."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def figures(self) -> Mapping[str, object]:
        return {"bounds": list(self._bounds), "counts": list(self._counts), "sum": self._sum}


class MoveStatistics:
    def __init__(self) -> None:
        self.taken = self.failed = self.cancelled = self.begun_anew = 0
        self.pause_s, self.pause_records = Counts(PAUSE_BOUNDS), Counts(RECORD_BOUNDS)

    def figures(self) -> Mapping[str, object]:
        return {
            "taken": self.taken,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "begun_anew": self.begun_anew,
            "pause_seconds": self.pause_s.figures(),
            "pause_records": self.pause_records.figures(),
        }
