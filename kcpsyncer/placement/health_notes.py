"""What is told of clusters that fall silent and return: a condition and Events of the Cluster. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from kcpsyncer.conditions import Condition
from kcpsyncer.placement.failure_detection import LOST_AFTER_S, SUSPECT_AFTER_S, Health, Judgement

RESPONSIVE = "Responsive"
_SUSPECT = f"nothing was heard of it for {SUSPECT_AFTER_S:g} s: it gets nothing new"
_LOST = f"nothing was heard of it for {LOST_AFTER_S:g} s: its copies are replaced where a policy allows it"


class HealthNote(NamedTuple):
    """An Event for a Cluster: `kind` Normal or Warning."""

    cluster: str
    kind: str
    reason: str
    message: str


def health_condition(cluster: str, judgement: Judgement) -> Condition | None:
    """None: nobody has judged it yet."""
    match judgement.health.get(cluster):
        case Health.HEALTHY:
            return Condition(RESPONSIVE, "True", "Heard")
        case Health.SUSPECT if judgement.frozen:
            return Condition(RESPONSIVE, "Unknown", "FailoverFrozen", judgement.frozen)
        case Health.SUSPECT:
            return Condition(RESPONSIVE, "Unknown", "Suspect", _SUSPECT)
        case Health.LOST:
            return Condition(RESPONSIVE, "False", "Lost", _LOST)
    return None


def health_notes(before: Judgement, now: Judgement) -> Iterator[HealthNote]:
    """Of what has changed. That failover is frozen is told of every cluster that is silent."""
    for name in sorted(now.health):
        was, health = before.health.get(name, Health.HEALTHY), now.health[name]
        if was is not health:
            match health:
                case Health.SUSPECT:
                    yield HealthNote(name, "Warning", "ClusterSuspect", _SUSPECT)
                case Health.LOST:
                    yield HealthNote(name, "Warning", "ClusterLost", _LOST)
                case Health.HEALTHY:
                    yield HealthNote(name, "Normal", "ClusterReturned", "it is heard again")
        if now.frozen and health is Health.SUSPECT and (before.frozen != now.frozen or was is not Health.SUSPECT):
            yield HealthNote(name, "Warning", "FailoverFrozen", now.frozen)
        elif before.frozen and not now.frozen and was is Health.SUSPECT:
            yield HealthNote(name, "Normal", "FailoverResumed", "not all of them are silent any more")
