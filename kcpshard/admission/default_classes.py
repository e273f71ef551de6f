"""The classes that claims and ingresses get which name none, and whether a claim's class lets it grow.

The plug-ins DefaultStorageClass, DefaultIngressClass and PersistentVolumeClaimResize.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.api.errors import Forbidden
from kcpshard.definitions.quantities import parse_quantity
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

CLAIMS, INGRESSES = "persistentvolumeclaims", "ingresses.networking.k8s.io"
_STORAGE_CLASSES, _INGRESS_CLASSES = "storageclasses.storage.k8s.io", "ingressclasses.networking.k8s.io"
_DEFAULT_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_DEFAULT_INGRESS = ("ingressclass.kubernetes.io/is-default-class",)
# By which older clients name a class.
_CLAIM_CLASS, _INGRESS_CLASS = "volume.beta.kubernetes.io/storage-class", "kubernetes.io/ingress.class"
_MOST = 1000  # classes looked at

Object = dict[str, Any]


def admit(attributes: "Attributes") -> None:
    resource, obj = attributes.resource, attributes.object
    if attributes.operation != "CREATE" or attributes.subresource or obj is None or resource.definition is not None:
        return
    if resource.group_resource == CLAIMS:
        _give(attributes, obj, "storageClassName", _CLAIM_CLASS, _STORAGE_CLASSES, _DEFAULT_STORAGE)
    elif resource.group_resource == INGRESSES:
        _give(attributes, obj, "ingressClassName", _INGRESS_CLASS, _INGRESS_CLASSES, _DEFAULT_INGRESS)


def check_growth(attributes: "Attributes") -> None:
    """A claim may only ask for more where what it is bound to can grow. Raises Forbidden."""
    new, old = attributes.object, attributes.old
    if attributes.resource.group_resource != CLAIMS or attributes.subresource or not new or not old:
        return
    if attributes.resource.definition is not None or _size(new) <= _size(old):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise _forbidden(attributes, "Only bound persistent volume claims can be expanded")
    if not _can_grow(attributes, new, old):
        raise _forbidden(
            attributes,
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize",
        )


def _give(
    attributes: "Attributes", obj: Object, member: str, annotation: str, classes: str, marks: tuple[str, ...]
) -> None:
    """The youngest of the classes that are marked as default; of several of one second the first by name."""
    spec = obj.get("spec") or {}
    if attributes.cluster is None or spec.get(member) is not None:
        return
    if annotation in (obj["metadata"].get("annotations") or {}):
        return
    found = [
        orjson.loads(envelope.body(value))["metadata"]
        for value in attributes.store.scan_pending(attributes.cluster, classes, "", _MOST)
    ]
    found = [meta for meta in found if any((meta.get("annotations") or {}).get(mark) == "true" for mark in marks)]
    if found:
        youngest = max(meta.get("creationTimestamp", "") for meta in found)
        named = min(meta["name"] for meta in found if meta.get("creationTimestamp", "") == youngest)
        obj["spec"] = {**spec, member: named}


def _size(claim: Object) -> Fraction:
    spec = claim.get("spec") or {}
    text = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
    return parse_quantity(str(text)).value


def _can_grow(attributes: "Attributes", new: Object, old: Object) -> bool:
    name = _class(new)
    if not name or name != _class(old):
        return False
    found = attributes.stored(_STORAGE_CLASSES, "", name)
    return found is not None and found.get("allowVolumeExpansion") is True


def _class(claim: Object) -> str:
    named: str = (claim["metadata"].get("annotations") or {}).get(_CLAIM_CLASS) or ""
    return named or (claim.get("spec") or {}).get("storageClassName") or ""


def _forbidden(attributes: "Attributes", text: str) -> Forbidden:
    shown = f'{CLAIMS} "{attributes.name}" is forbidden: {text}'
    return Forbidden(shown, name=attributes.name, kind=CLAIMS)
