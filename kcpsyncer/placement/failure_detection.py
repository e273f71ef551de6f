"""Which clusters are silent, and whether that is their fault. Pure; the caller tells the time and who was heard.

A cluster's silence grows only while the detector itself was awake and heard somebody else: a detector that was paused,
or cut off, would otherwise take everybody for dead. When more than half of the clusters are silent together, or all of
one connection path of several, the fault is more likely in between: failover freezes until that is over. When nobody is
heard at all, everybody is suspect and nobody is given up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SUSPECT_AFTER_S = 10.0
LOST_AFTER_S = 15.0
# The detector is asked about every second. Longer than this between two questions, and it was not awake.
LONGEST_TICK_S = 3.0


class Health(StrEnum):
    HEALTHY = "Healthy"
    SUSPECT = "Suspect"  # silent for 10 s: it gets nothing new
    LOST = "Lost"  # its copies are given up


@dataclass(slots=True)
class _Watched:
    path: str
    silence_s: float = 0.0
    last_heard_s: float = 0.0
    has_been_heard: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """`frozen`: why nobody is given up at the moment, for an Event; empty if failover works."""

    health: Mapping[str, Health]
    frozen: str = ""


@dataclass(slots=True)
class FailureDetector:
    """Times are seconds of a monotonic clock."""

    suspect_after_s: float = SUSPECT_AFTER_S
    lost_after_s: float = LOST_AFTER_S
    _clusters: dict[str, _Watched] = field(default_factory=dict)
    _last_tick_s: float | None = None
    _nobody_s: float = 0.0  # for so long, awake, we have heard nobody
    _lost: set[str] = field(default_factory=set)

    def watch(self, clusters: Mapping[str, str]) -> None:
        """All clusters there are, with the path on which each is reached ("" for one of its own)."""
        for name in set(self._clusters) - set(clusters):
            del self._clusters[name]
            self._lost.discard(name)
        for name, path in clusters.items():
            self._clusters.setdefault(name, _Watched(path)).path = path

    def tick(self, now_s: float, heard: Iterable[str]) -> Judgement:
        """`heard`: clusters with a heartbeat since the last tick."""
        step_s = 0.0 if self._last_tick_s is None else now_s - self._last_tick_s
        self._last_tick_s = now_s
        heard = {name for name in heard if name in self._clusters}
        for name in heard:
            each = self._clusters[name]
            each.silence_s, each.last_heard_s, each.has_been_heard = 0.0, now_s, True
        # Alone, it has nobody to compare with: then its own being awake has to do.
        hears_somebody = bool(heard) or len(self._clusters) == 1 or self._heard_lately(now_s)
        is_awake = 0 < step_s <= LONGEST_TICK_S
        self._nobody_s = 0.0 if heard else self._nobody_s + step_s * is_awake
        if is_awake and hears_somebody:
            for name, each in self._clusters.items():
                if name not in heard:
                    each.silence_s += step_s
        return self._judge()

    def last_heard_s(self, name: str) -> float | None:
        """None: never."""
        found = self._clusters.get(name)
        return found.last_heard_s if found is not None and found.has_been_heard else None

    def _heard_lately(self, now_s: float) -> bool:
        """Heartbeats come every few seconds, ticks every second: one without any tells nothing."""
        heard = (each.last_heard_s for each in self._clusters.values() if each.has_been_heard)
        return now_s - max(heard, default=float("-inf")) < self.suspect_after_s / 2

    def _judge(self) -> Judgement:
        silent = {name for name, each in self._clusters.items() if each.silence_s >= self.suspect_after_s}
        if len(self._clusters) > 1 and self._nobody_s >= self.suspect_after_s:
            silent = set(self._clusters)
        self._lost &= silent
        frozen = self._frozen(silent)
        if not frozen:
            self._lost |= {name for name in silent if self._clusters[name].silence_s >= self.lost_after_s}
        health = {
            name: Health.LOST if name in self._lost else Health.SUSPECT if name in silent else Health.HEALTHY
            for name in self._clusters
        }
        return Judgement(health, frozen)

    def _frozen(self, silent: set[str]) -> str:
        new = silent - self._lost
        if not new or len(self._clusters) < 2:
            return ""
        if len(silent) * 2 > len(self._clusters):
            return f"{len(silent)} of {len(self._clusters)} clusters are silent: that is more than half"
        paths: dict[str, set[str]] = {}
        for name, each in self._clusters.items():
            if each.path:
                paths.setdefault(each.path, set()).add(name)
        for path, names in sorted(paths.items()):
            if len(names) > 1 and names <= silent and names & new:
                return f"all {len(names)} clusters behind {path} are silent together"
        return ""
