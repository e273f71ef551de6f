"""For whom a node may have tokens: for pods bound to it, and for audiences that such a pod's volumes speak of.

    pod → projected volume → audience
    pod (→ PersistentVolumeClaim → PersistentVolume) → CSI driver → tokenRequests → audience

Other audiences need the right `request-serviceaccounts-token-audience`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kcpshard.admission.node_requests import Object, forbidden, node_of_pod, pod_named
from kcpshard.api.errors import object_not_found
from kcpshard.api.requests import decode_identity
from kcpshard.authorization.attributes import quoted
from kcpshard.authorization.node_graph import claim_of_volume
from kcpshard.cel.authorization import Question

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

_DRIVERS = "csidrivers.storage.k8s.io"
# Volumes of old, whose drivers are CSI drivers now.
_DRIVER_OF: Mapping[str, str] = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}


def admit(attributes: "Attributes", node: str) -> None:
    if attributes.operation != "CREATE" or attributes.subresource != "token" or attributes.object is None:
        return
    spec = attributes.object.get("spec") or {}
    bound = spec.get("boundObjectRef") or {}
    if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
        raise forbidden(attributes, "node requested token not bound to a pod")
    uid = bound.get("uid")
    if not uid:
        raise forbidden(attributes, "node requested token with a pod binding without a uid")
    pod = pod_named(attributes, bound["name"])
    if uid != pod["metadata"]["uid"]:
        text = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise forbidden(attributes, text)
    if node_of_pod(pod) != node:
        raise forbidden(attributes, "node requested token bound to a pod scheduled on a different node")
    if fault := _audience_fault(attributes, pod, spec.get("audiences") or []):
        raise forbidden(attributes, fault)


def _audience_fault(attributes: "Attributes", pod: Object, audiences: Sequence[str]) -> str:
    if len(audiences) > 1:
        return "node may only request 0 or 1 audiences"
    audience = audiences[0] if audiences else ""
    faults: list[str] = []
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if _projects(volume, audience):
            return ""
        driver, fault = _driver_of(attributes, pod, volume)
        if driver and not fault:
            known = attributes.stored(_DRIVERS, "", driver)
            fault = "" if known is not None else _missing("storage.k8s.io", "csidriver", driver)
            if known is not None and _asks_for(known, audience):
                return ""
        if fault and fault not in faults:
            faults.append(fault)
    if faults:
        told = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        return f"error validating audience {quoted(audience)}: {told}"
    return "" if _is_allowed(attributes, audience) else _unknown(attributes, audience)


def _projects(volume: Object, audience: str) -> bool:
    tokens = (each.get("serviceAccountToken") for each in (volume.get("projected") or {}).get("sources") or ())
    return any(token is not None and (token.get("audience") or "") == audience for token in tokens)


def _asks_for(driver: Object, audience: str) -> bool:
    requests = (driver.get("spec") or {}).get("tokenRequests") or ()
    return any((each.get("audience") or "") == audience for each in requests)


def _driver_of(attributes: "Attributes", pod: Object, volume: Object) -> tuple[str, str]:
    """The CSI driver behind a volume, and why it cannot be told; both "" if there is none."""
    if name := claim_of_volume(pod, volume):
        return _driver_of_claim(attributes, name)
    if (inline := volume.get("csi")) is not None:
        return inline.get("driver") or "", ""
    return _old_driver(volume), ""


def _old_driver(spec: Object) -> str:
    return next((driver for source, driver in _DRIVER_OF.items() if spec.get(source) is not None), "")


def _driver_of_claim(attributes: "Attributes", name: str) -> tuple[str, str]:
    claim = attributes.stored("persistentvolumeclaims", attributes.namespace, name)
    if claim is None:
        return "", _missing("", "persistentvolumeclaim", name)
    bound = (claim.get("spec") or {}).get("volumeName") or ""
    volume = attributes.stored("persistentvolumes", "", bound) if bound else None
    if volume is None:
        return "", _missing("", "persistentvolume", bound)
    spec = volume.get("spec") or {}
    return (spec.get("csi") or {}).get("driver") or _old_driver(spec), ""


def _missing(group: str, kind: str, name: str) -> str:
    return str(object_not_found(group, kind, name))


def _is_allowed(attributes: "Attributes", audience: str) -> bool:
    if attributes.registry is None or attributes.cluster is None:
        return False
    identity = decode_identity(attributes.identity)
    verb = "request-serviceaccounts-token-audience"
    asked = Question(identity, verb, "", "", audience, "", attributes.namespace, attributes.name)
    return attributes.registry.decide(attributes.cluster)(asked).is_allowed


def _unknown(attributes: "Attributes", audience: str) -> str:
    username = decode_identity(attributes.identity).username
    return (
        f"audience {quoted(audience)} not found in pod spec volume, {username} is not authorized to request tokens for "
        "this audience"
    )
