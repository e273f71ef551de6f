"""The values that placement works on: clusters as they are, a policy as it is written, a workload as it is asked for.

Replicas are whole numbers ≥ 0; `None` for an upper bound means that there is none. Amounts of resources are in base
units (cores, bytes, pieces). Labels and taints are those of `Cluster` objects, in the form Kubernetes gives to nodes'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kcpshard.api.selectors import NO_LABELS, LabelSelector

NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "PreferNoSchedule", "NoExecute"


class Mode(StrEnum):
    """How copies of a workload relate to its replicas."""

    DIVIDE = "Divide"  # every cluster runs a part of the replicas
    DUPLICATE = "Duplicate"  # every cluster runs all of it
    WHOLE = "Whole"  # one cluster runs all of it


class Guarantee(StrEnum):
    """What may happen while a silent cluster may still run its copies."""

    AT_LEAST = "AtLeast"  # replaced at once; what is too much is removed when the cluster returns
    AT_MOST_ONCE = "AtMostOnce"  # replaced only when the lost copies have certainly stopped


class Rebalance(StrEnum):
    """Whether running copies move only because the division could be fairer."""

    ALWAYS = "Always"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str = ""
    effect: str = NO_SCHEDULE


@dataclass(frozen=True, slots=True)
class Toleration:
    """As a pod's: `operator` Exists or Equal; an empty key with Exists tolerates all; an empty effect means any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == taint.key and (self.operator == "Exists" or self.value == taint.value)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """One physical cluster as the placement sees it at this moment.

    `free`: what is left of each resource; a resource that is not named is not known and limits nothing.
    `is_lost`: silent for so long that its copies are given up (see `failure_detection`); `is_suspect`: silent, not yet
    given up: it keeps what it has and gets nothing new. `is_pull`: its agent can fence itself.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    free: Mapping[str, float] = field(default_factory=dict)
    serves: bool = True  # the workload's API, in a version that is compatible
    may_be_used: bool = True  # by this logical cluster: the verb `use`
    is_cordoned: bool = False
    is_draining: bool = False
    is_suspect: bool = False
    is_lost: bool = False
    is_pull: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """Clusters with these labels are liked `weight` (1–100) more."""

    selector: LabelSelector
    weight: int


@dataclass(frozen=True, slots=True)
class Share:
    """Bounds and weight of each of the clusters with these labels. The first one that selects a cluster counts."""

    selector: LabelSelector
    weight: int = 1
    minimum: int = 0
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """As a pod's topology spread constraint, over a label of clusters. `is_hard`: DoNotSchedule."""

    label: str
    max_skew: int = 1
    is_hard: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    mode: Mode = Mode.DIVIDE
    required: LabelSelector = NO_LABELS
    excluded_names: frozenset[str] = frozenset()
    names: frozenset[str] | None = None  # only these; None: any
    preferences: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    shares: tuple[Share, ...] = ()
    spreads: tuple[Spread, ...] = ()
    max_clusters: int | None = None
    guarantee: Guarantee = Guarantee.AT_LEAST
    rebalance: Rebalance = Rebalance.ALWAYS

    def share_of(self, labels: Mapping[str, str]) -> Share:
        for share in self.shares:
            if share.selector.matches(labels):
                return share
        return _EVEN


_EVEN = Share(NO_LABELS)


@dataclass(frozen=True, slots=True)
class Workload:
    """`key`: what tells it from all others (logical cluster, kind, namespace, name), for ties that must not all fall on
    the same cluster. `request`: of one replica. `can_divide` False: the kind has no replicas to divide."""

    key: str
    replicas: int
    request: Mapping[str, float] = field(default_factory=dict)
    can_divide: bool = True
