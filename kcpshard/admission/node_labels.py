"""Which labels a node may give itself: not those by which others steer work away from it or towards it."""

from collections.abc import Mapping, Sequence

_RESTRICTED = "node-restriction.kubernetes.io"
_OURS = ("kubernetes.io", "k8s.io")
_SET_BY_NODES = frozenset(
    (
        "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type", "kubernetes.io/os",
        "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    )
)  # fmt: skip
_PREFIXES_OF_NODES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def kept_from_nodes(new: Mapping[str, str], old: Mapping[str, str]) -> Sequence[str]:
    """The labels among those that differ which no node may change, sorted."""
    changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
    return sorted(key for key in changed if _is_kept(key))


def _is_kept(key: str) -> bool:
    prefix = key.partition("/")[0] if "/" in key else ""
    if _lies_in(prefix, (_RESTRICTED,)):
        return True
    return _lies_in(prefix, _OURS) and key not in _SET_BY_NODES and not _lies_in(prefix, _PREFIXES_OF_NODES)


def _lies_in(prefix: str, domains: Sequence[str]) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)
