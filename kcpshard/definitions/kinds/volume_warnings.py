"""What kube-apiserver warns the maker of a volume, a claim or a storage class of: all of it is accepted."""

from collections.abc import Iterator

from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_warnings import DEPRECATED_LABELS, fractions, node_term_warnings

_CLASS = "volume.beta.kubernetes.io/storage-class"
_ANNOTATIONS = {
    _CLASS: 'deprecated since v1.8; use "storageClassName" attribute instead',
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}
_SOURCES = {
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}


def volume_warnings(volume: Object) -> Iterator[str]:
    spec, annotations = volume.get("spec") or {}, volume["metadata"].get("annotations") or {}
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            yield f"metadata.annotations[{key}]: {text}"
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        advice = "Instead, the recommended approach is to use dynamic provisioning."
        yield f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {advice}"
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for place, term in enumerate(required.get("nodeSelectorTerms") or ()):
        here = f"spec.nodeAffinity.required.nodeSelectorTerms[{place}]"
        yield from node_term_warnings(term, here, judges_values=False)
    for member, (shown, text) in _SOURCES.items():
        if spec.get(member) is not None:
            yield f"spec.{shown}: {text}"


def claim_warnings(claim: Object) -> Iterator[str]:
    if _CLASS in (claim["metadata"].get("annotations") or {}):
        yield f"metadata.annotations[{_CLASS}]: {_ANNOTATIONS[_CLASS]}"
    resources = (claim.get("spec") or {}).get("resources") or {}
    for member in ("requests", "limits"):
        yield from fractions(resources.get(member) or {}, f"spec.resources.{member}", ("storage",))


def class_warnings(storage_class: Object) -> Iterator[str]:
    for place, term in enumerate(storage_class.get("allowedTopologies") or ()):
        for number, expression in enumerate(term.get("matchLabelExpressions") or ()):
            key = expression.get("key", "")
            if key in DEPRECATED_LABELS:
                here = f"allowedTopologies[{place}].matchLabelExpressions[{number}].key"
                yield f"{here}: {DEPRECATED_LABELS[key]}"
