"""`--controllers`: which run, in the words of kube-controller-manager. `*` all of them, `-name` not this.

A logical cluster with a kube-controller-manager of its own is served by a shard where the same controllers are off.
"""

from collections.abc import Sequence

NAMES = (
    "namespace-controller",
    "validatingadmissionpolicy-status-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "garbage-collector-controller",
    "resourcequota-controller",
    "event-expiry-controller",
    "kubernetes-service-controller",
    "clusterrole-aggregation-controller",
    "certificatesigningrequest-signing-controller",
    "serviceaccount-token-controller",
    "flowschema-status-controller",
    "crd-autoregistration-controller",
    "service-cidr-controller",
    "apiservice-status-remote-available-controller",
    "workspace-controller",
    "logicalcluster-controller",
    "apiexport-controller",
    "apibinding-controller",
    "workspacetype-controller",
)
_ALIASES = {
    "namespace": "namespace-controller",
    "serviceaccount": "serviceaccount-controller",
    "root-ca-cert-publisher": "root-ca-certificate-publisher-controller",
    "garbagecollector": "garbage-collector-controller",
    "resourcequota": "resourcequota-controller",
    "clusterrole-aggregation": "clusterrole-aggregation-controller",
    "serviceaccount-token": "serviceaccount-token-controller",
    "csrsigning": "certificatesigningrequest-signing-controller",
}


def enabled(text: str) -> frozenset[str]:
    """Raises ValueError with a sentence for a name that does not exist. As there, the later of two words counts."""
    found: set[str] = set()
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in sorted(words, key=lambda word: word != "*"):
        if word == "*":
            found.update(NAMES)
        elif word.startswith("-"):
            found.discard(_known(word[1:]))
        else:
            found.add(_known(word))
    return frozenset(found)


def _known(word: str) -> str:
    name = _ALIASES.get(word, word)
    if name not in NAMES:
        raise ValueError(f"there is no controller {word!r}: there are {_listed(NAMES)}")
    return name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
