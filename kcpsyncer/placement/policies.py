"""PlacementPolicy and ClusterPlacementPolicy objects (`placement.kcp.dev/v1alpha1`), and which rules a workload. Pure.

The CRD's schema has checked types and enums when an object is written; here is read what it means, and told what a
schema cannot: selectors that are none, patches that are none, bounds that exclude each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from kcpshard.api.label_selectors import InvalidSelector, selector_of
from kcpshard.api.patches import parse_json_patch
from kcpshard.api.selectors import NO_LABELS, LabelSelector
from kcpsyncer.placement.model import (
    Guarantee,
    Mode,
    Policy,
    Preference,
    Rebalance,
    Share,
    Spread,
    Toleration,
)
from kcpsyncer.placement.overrides import Override

Raw = Mapping[str, Any]
_T = TypeVar("_T")

GROUP, VERSION = "placement.kcp.dev", "v1alpha1"
POLICY, CLUSTER_POLICY = "PlacementPolicy", "ClusterPlacementPolicy"
_PATCHES = frozenset(("add", "remove", "replace", "test", "move", "copy"))


class PolicyFault(Exception):
    """`path`: the field that is wrong, as Kubernetes writes paths."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message = path, message


class Rule(NamedTuple):
    """Which objects a policy is for; an empty field of it is for all."""

    group: str | None
    kind: str
    name: str
    labels: LabelSelector

    def matches(self, obj: Raw) -> bool:
        metadata = obj.get("metadata") or {}
        return (
            (self.group is None or self.group == group_of(obj))
            and (not self.kind or self.kind == obj.get("kind"))
            and (not self.name or self.name == metadata.get("name"))
            and self.labels.matches(metadata.get("labels") or {})
        )

    @property
    def precision(self) -> int:
        """The more it says, the more it counts: a name, labels, a kind."""
        return 4 * bool(self.name) + 2 * bool(self.labels) + bool(self.kind)


class PlacementRules(NamedTuple):
    """One object, read. `name` is "namespace/name", or the name alone of one for all namespaces."""

    name: str
    namespace: str
    rules: tuple[Rule, ...]
    policy: Policy
    overrides: tuple[Override, ...]


def group_of(obj: Raw) -> str:
    group, slash, _ = str(obj.get("apiVersion") or "").partition("/")
    return group if slash else ""


def read_policy(obj: Raw) -> PlacementRules:
    """Raises PolicyFault."""
    spec: Raw = obj.get("spec") or {}
    metadata = obj["metadata"]
    namespace = metadata.get("namespace") or ""
    rules = _each(spec, "resourceSelectors", _rule) or (Rule(None, "", "", NO_LABELS),)
    clusters: Raw = spec.get("clusters") or {}
    path = "spec.clusters"
    names = clusters.get("names")
    policy = Policy(
        mode=Mode(spec.get("mode") or Mode.DIVIDE),
        required=_selector(clusters.get("selector"), f"{path}.selector"),
        names=None if names is None else frozenset(names),
        excluded_names=frozenset(clusters.get("excludedNames") or ()),
        preferences=_each(spec, "preferences", _preference),
        tolerations=_each(spec, "tolerations", _toleration),
        shares=_each(spec, "shares", _share),
        spreads=_each(spec, "spreads", _spread),
        max_clusters=spec.get("maxClusters"),
        guarantee=Guarantee((spec.get("failover") or {}).get("guarantee") or Guarantee.AT_LEAST),
        rebalance=Rebalance(spec.get("rebalance") or Rebalance.ALWAYS),
    )
    name = f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
    return PlacementRules(name, namespace, rules, policy, _each(spec, "overrides", _override))


def chosen(policies: Iterable[PlacementRules], obj: Raw) -> PlacementRules | None:
    """The policy that rules `obj`: of its namespace before those for all; who says most of it; then by name."""
    namespace = (obj.get("metadata") or {}).get("namespace") or ""
    best: tuple[bool, int, str] | None = None
    found: PlacementRules | None = None
    for each in policies:
        if each.namespace and each.namespace != namespace:
            continue
        precision = max((rule.precision for rule in each.rules if rule.matches(obj)), default=-1)
        order = (not each.namespace, -precision, each.name)
        if precision >= 0 and (best is None or order < best):
            best, found = order, each
    return found


# --- parts of a spec


def _each(spec: Raw, name: str, read: Callable[[Raw, str], _T]) -> tuple[_T, ...]:
    return tuple(read(part, f"spec.{name}[{at}]") for at, part in enumerate(spec.get(name) or ()))


def _selector(selector: Any, path: str) -> LabelSelector:
    """Nothing selects everything: a part of a policy that is left out restricts nothing."""
    if selector is None:
        return NO_LABELS
    try:
        return selector_of(selector) or NO_LABELS
    except InvalidSelector as error:
        raise PolicyFault(path, f"is no label selector: {error}") from None


def _rule(part: Raw, path: str) -> Rule:
    labels = _selector(part.get("labelSelector"), f"{path}.labelSelector")
    return Rule(part.get("group"), part.get("kind") or "", part.get("name") or "", labels)


def _preference(part: Raw, path: str) -> Preference:
    return Preference(_selector(part.get("clusterSelector"), f"{path}.clusterSelector"), int(part.get("weight") or 1))


def _toleration(part: Raw, path: str) -> Toleration:
    operator, key = part.get("operator") or "Equal", part.get("key") or ""
    if operator == "Exists" and part.get("value"):
        raise PolicyFault(f"{path}.value", "must be empty when operator is Exists")
    if not key and operator != "Exists":
        raise PolicyFault(f"{path}.operator", "must be Exists when key is empty")
    return Toleration(key, operator, part.get("value") or "", part.get("effect") or "")


def _share(part: Raw, path: str) -> Share:
    minimum, maximum = int(part.get("minReplicas") or 0), part.get("maxReplicas")
    if maximum is not None and maximum < minimum:
        raise PolicyFault(f"{path}.maxReplicas", f"must not be less than minReplicas, which is {minimum}")
    selector = _selector(part.get("clusterSelector"), f"{path}.clusterSelector")
    weight = part.get("weight")
    return Share(selector, 1 if weight is None else int(weight), minimum, maximum)


def _spread(part: Raw, path: str) -> Spread:
    if not part.get("topologyKey"):
        raise PolicyFault(f"{path}.topologyKey", "is required")
    hard = (part.get("whenUnsatisfiable") or "DoNotSchedule") == "DoNotSchedule"
    return Spread(part["topologyKey"], int(part.get("maxSkew") or 1), hard)


def _override(part: Raw, path: str) -> Override:
    steps: Sequence[Raw] = part.get("patches") or ()
    for at, step in enumerate(steps):
        if step.get("op") not in _PATCHES or not str(step.get("path") or "").startswith("/"):
            raise PolicyFault(f"{path}.patches[{at}]", "is no step of a JSON patch (RFC 6902)")
    selector = _selector(part.get("clusterSelector"), f"{path}.clusterSelector")
    return Override(selector, tuple(parse_json_patch([dict(step) for step in steps])))
