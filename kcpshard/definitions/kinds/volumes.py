"""PersistentVolume, PersistentVolumeClaim and the storage group."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds import volume_sources
from kcpshard.definitions.kinds.affinity_faults import node_selector_faults
from kcpshard.definitions.kinds.claim_faults import VOLUME_MODES, access_mode_faults, claim_spec_faults, positive_amount
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.kinds.volume_sources import driver_name
from kcpshard.definitions.kinds.volume_warnings import claim_warnings, class_warnings, volume_warnings
from kcpshard.definitions.quantities import parse_quantity
from kcpshard.definitions.strategies import Rules, keep, keep_all_but

Faults = Iterator[FieldError]
GROUP = "storage.k8s.io"
_RECLAIM = ("Delete", "Recycle", "Retain")
_SOURCES = (  # in the order in which kube-apiserver counts them
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs",
    "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
    "azureDisk", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MOUNTABLE = (
    "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "cinder", "cephfs",
    "azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk",
)  # fmt: skip
_CLAIM_PROTECTION, _VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def _protect(finalizer: str, obj: Object) -> None:
    """Nobody takes away what is in use: the controllers remove the finalizer."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer not in held:
        obj["metadata"]["finalizers"] = [*held, finalizer]


def _default_volume(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, persistentVolumeReclaimPolicy="Retain")
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    fill(obj.setdefault("status", {}), phase="Pending")
    if (path := spec.get("hostPath")) is not None and path.get("type") is None:
        path["type"] = ""


def _create_volume(obj: Object) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": since}
    _protect(_VOLUME_PROTECTION, obj)


def _mount_options(obj: Object) -> Faults:
    """The older form of them, an annotation, is only for the types that always took it."""
    takes_it = any((obj.get("spec") or {}).get(source) is not None for source in _MOUNTABLE)
    if not takes_it and _MOUNT_OPTIONS in (obj["metadata"].get("annotations") or {}):
        yield forbidden(f"metadata.annotations.{_MOUNT_OPTIONS}", "may not specify mount options for this volume type")


def _volume(obj: Object) -> Faults:
    spec, capacity = obj["spec"], obj["spec"].get("capacity") or {}
    if not spec.get("accessModes"):
        yield required("spec.accessModes")
    yield from access_mode_faults(spec.get("accessModes") or (), "spec.accessModes")
    if not capacity:
        yield required("spec.capacity")
    if set(capacity) != {"storage"}:
        text = f'Unsupported value: {capacity}: supported values: "storage"'
        yield FieldError("spec.capacity", "FieldValueNotSupported", text)
    for name, text in capacity.items():
        yield from positive_amount(f"spec.capacity[{name}]", text)
        if _is_beyond_integers(text):
            yield invalid(f"spec.capacity[{name}]", text, "must be a valid resource quantity")
    policy = spec["persistentVolumeReclaimPolicy"]
    yield from checks.one_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM)
    if (affinity := spec.get("nodeAffinity")) is not None:
        if affinity.get("required") is None:
            yield required("spec.nodeAffinity.required", "must specify required node constraints")
        else:
            yield from node_selector_faults(affinity["required"], "spec.nodeAffinity.required")
    yield from _source_faults(obj)
    if spec.get("storageClassName"):
        yield from checks.dns_subdomain("spec.storageClassName", spec["storageClassName"])
    yield from checks.supported("spec.volumeMode", spec["volumeMode"], VOLUME_MODES)
    yield from _attributes_class_faults(spec)


def _is_beyond_integers(text: str) -> bool:
    """Whether Go's int64 of it, rounded up, is less than nothing."""
    value = math.ceil(parse_quantity(text).value)
    return (value + 2**63) % 2**64 < 2**63 and value > 0


def _source_faults(obj: Object) -> Faults:
    spec = obj["spec"]
    given = [member for member in _SOURCES if spec.get(member) is not None]
    if not given:
        yield required("spec", "must specify a volume type")
        return
    counted = given[:1] + ["flexVolume"] * ("flexVolume" in given[1:])  # which is never one too many
    yield from (volume_sources.one_too_many("spec", member) for member in given if member not in counted)
    for member in counted:
        yield from volume_sources.source_faults(volume_sources.PERSISTENT[member], spec[member], "spec", member)
    name, iscsi = obj["metadata"].get("name", ""), spec.get("iscsi")
    if given[0] == "iscsi" and volume_sources.names_too_long(name, iscsi):
        yield invalid("spec.iscsi.targetportal", iscsi.get("targetPortal", ""), volume_sources.NAME_TEXT)
    if given[0] == "local" and spec.get("nodeAffinity") is None:
        yield required("spec.nodeAffinity", "Local volume requires node affinity")
    place = (spec.get("hostPath") or {}).get("path")
    if place and not place.strip("/.") and place.startswith("/") and _recycles(spec):
        text = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", text)


def _recycles(spec: Object) -> bool:
    return bool(spec["persistentVolumeReclaimPolicy"] == "Recycle")


def _attributes_class_faults(spec: Object) -> Faults:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    if not name:
        yield required("spec.volumeAttributesClassName", "an empty string is disallowed")
    else:
        yield from checks.dns_subdomain("spec.volumeAttributesClassName", name)
    if spec.get("csi") is None:
        yield required("spec.csi", "has to be specified when using volumeAttributesClassName")


def _volume_status(new: Object, old: Object) -> None:
    """The time of the last change of phase is the server's to know."""
    keep_all_but(new, old, "status")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    if status.get("phase") != before.get("phase"):
        if status.get("lastPhaseTransitionTime") in (None, before.get("lastPhaseTransitionTime")):
            status["lastPhaseTransitionTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif status.get("lastPhaseTransitionTime") is None:
        keep(status, before, "lastPhaseTransitionTime")


def _volume_update(new: Object, old: Object) -> Faults:
    after, before = ({m: o["spec"].get(m) for m in _SOURCES if o["spec"].get(m) is not None} for o in (new, old))
    if "csi" in after and "csi" in before and before["csi"].get("controllerExpandSecretRef") is None:
        after["csi"] = {key: value for key, value in after["csi"].items() if key != "controllerExpandSecretRef"}
    if after != before:
        yield forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation\n")
    yield from checks.unchanged("volumeMode", new["spec"].get("volumeMode"), old["spec"].get("volumeMode"))
    place, was = new["spec"].get("nodeAffinity"), old["spec"].get("nodeAffinity")
    if was is not None and _with_stable_labels(was, place) != place:
        yield invalid("nodeAffinity", place, f"{checks.IMMUTABLE}, except for updating from beta label to GA")
    name, known = (o["spec"].get("volumeAttributesClassName") for o in (new, old))
    if known is not None and name is None:
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


_STABLE_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _with_stable_labels(old: Any, new: Any) -> Any:
    """`old` with the labels' stable names where `new` has them."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = {key: _with_stable_labels(value, new.get(key)) for key, value in old.items()}
        if "operator" in old and _STABLE_LABELS.get(old.get("key", "")) == new.get("key"):
            found["key"] = new["key"]
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_with_stable_labels(was, item) for was, item in zip(old, new, strict=True)]
    return old


def _default_claim(obj: Object) -> None:
    if obj["spec"].get("volumeMode") is None:
        obj["spec"]["volumeMode"] = "Filesystem"
    fill(obj.setdefault("status", {}), phase="Pending")


_OLD_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


def _align_sources(obj: Object, old: Object) -> None:
    """dataSource takes only what it always took, dataSourceRef anything; where one is given, the other says it too."""
    source, reference = obj["spec"].get("dataSource"), obj["spec"].get("dataSourceRef")
    before = (old.get("spec") or {}).get("dataSource") is not None
    was_in_use = (old.get("spec") or {}).get("dataSourceRef") is not None
    if reference is not None and reference.get("namespace") and not was_in_use:
        del obj["spec"]["dataSourceRef"]  # behind a feature gate
        reference = None
    is_old = source is not None and (source.get("apiGroup") or "", source.get("kind")) in _OLD_SOURCES
    if source is not None and not (before or was_in_use or reference or is_old):
        del obj["spec"]["dataSource"]
        source = None
    if source is not None and reference is None:
        obj["spec"]["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        obj["spec"]["dataSource"] = dict(reference)


def _update_claim(new: Object, old: Object) -> None:
    keep(new, old, "status")
    _align_sources(new, old)


def _create_claim(obj: Object) -> None:
    _align_sources(obj, {})
    obj["status"] = {"phase": "Pending"}
    _protect(_CLAIM_PROTECTION, obj)


def _claim(obj: Object) -> Faults:
    yield from claim_spec_faults(obj["spec"], "spec")


def _with_size(resources: Object, size: str) -> Object:
    if resources.get("requests") is None:
        return resources
    return {**resources, "requests": {**resources["requests"], "storage": size}}


def _claim_update(new: Object, old: Object) -> Faults:
    after, before = dict(new["spec"]), dict(old["spec"])
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
    if before.get("storageClassName") is None:
        before["storageClassName"] = after.get("storageClassName")
    sizes = [(spec.get("resources") or {}).get("requests", {}).get("storage", "0") for spec in (after, before)]
    if (old.get("status") or {}).get("phase") == "Bound":
        before["volumeAttributesClassName"] = after.get("volumeAttributesClassName")
        after["resources"] = _with_size(after.get("resources") or {}, sizes[1])
    if {k: v for k, v in after.items() if v is not None} != {k: v for k, v in before.items() if v is not None}:
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", text + "\n")
    capacity = (old.get("status") or {}).get("capacity", {}).get("storage", "0")
    new_size, old_size = (parse_quantity(size).value for size in sizes)
    if new_size < old_size and new_size <= parse_quantity(capacity).value:
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if new["spec"].get("volumeMode") != old["spec"].get("volumeMode"):
        yield invalid("volumeMode", new["spec"].get("volumeMode"), checks.IMMUTABLE)


def _default_class(obj: Object) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _class(obj: Object) -> Faults:
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        yield required("provisioner")
    else:
        yield from checks.qualified_name("provisioner", provisioner.lower())
    if "" in (obj.get("parameters") or {}):
        yield invalid("parameters", "", "field can not be empty.")
    if obj["reclaimPolicy"] not in ("Delete", "Retain"):
        yield from checks.one_supported("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    modes = ("Immediate", "WaitForFirstConsumer")
    yield from checks.one_supported("volumeBindingMode", obj["volumeBindingMode"], modes)
    for place, term in enumerate(obj.get("allowedTopologies") or ()):
        for number, expression in enumerate(term.get("matchLabelExpressions") or ()):
            path = f"allowedTopologies[{place}].matchLabelExpressions[{number}]"
            yield from checks.present(expression, path, "values")
            yield from checks.qualified_name(f"{path}.key", expression.get("key", ""))


def _class_update(new: Object, old: Object) -> Faults:
    for member in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
        yield from checks.unchanged(member, new.get(member), old.get(member))


def _default_driver(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, attachRequired=True, podInfoOnMount=False, storageCapacity=False, requiresRepublish=False)
    fill(spec, fsGroupPolicy="ReadWriteOnceWithFSType", seLinuxMount=False)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _count_changes(new: Object, old: Object) -> None:
    """A driver has no generation until its spec changes."""
    if new["spec"] != old["spec"]:
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _driver(obj: Object) -> Faults:
    yield from driver_name(obj["metadata"].get("name", ""), "metadata.name")
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    yield from checks.one_supported("spec.fsGroupPolicy", obj["spec"]["fsGroupPolicy"], policies)
    for mode in obj["spec"]["volumeLifecycleModes"]:
        yield from checks.supported("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    yield from _token_faults(obj["spec"])


_LEAST_S, _LONGEST_S = 600, 1 << 32


def _token_faults(spec: Object) -> Faults:
    requests, seconds = spec.get("tokenRequests") or (), spec.get("nodeAllocatableUpdatePeriodSeconds")
    audiences: set[str] = set()
    for place, request in enumerate(requests):
        path, audience = f"spec.tokenRequests[{place}]", request.get("audience", "")
        if audience in audiences:
            yield duplicate(f"{path}.audience", audience)
            continue
        audiences.add(audience)
        asked = request.get("expirationSeconds")
        if asked is not None and asked < _LEAST_S:
            yield invalid(f"{path}.expirationSeconds", asked, "may not specify a duration less than 10 minutes")
        if asked is not None and asked > _LONGEST_S:
            yield invalid(f"{path}.expirationSeconds", asked, "may not specify a duration larger than 2^32 seconds")
    if seconds is not None and seconds < 10:
        path = "spec.nodeAllocatableUpdatePeriodSeconds"
        yield invalid(path, seconds, "must be greater than or equal to 10 seconds")
    if (kept := spec.get("serviceAccountTokenInSecrets")) is not None and not requests:
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        yield invalid("spec.serviceAccountTokenInSecrets", kept, text)


def _driver_update(new: Object, old: Object) -> Faults:
    for member, shown in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
        yield from checks.unchanged(f"spec.{shown}", new["spec"].get(member), old["spec"].get(member))


def _drop_driver_fields(new: Object, old: Object | None) -> None:
    if ((old or {}).get("spec") or {}).get("preventPodSchedulingIfMissing") is None:
        new["spec"].pop("preventPodSchedulingIfMissing", None)


_MAX_NODE_ID = 256


def _topology_faults(keys: Sequence[str], path: str) -> Faults:
    seen: set[str] = set()
    for key in keys:
        if not key:
            yield required(path)
        if key in seen:
            yield duplicate(path, key)
        seen.add(key)
        yield from checks.qualified_name(path, key)


def _node_drivers_update(new: Object, old: Object) -> Faults:
    """What may change of a driver that stays is how much it takes."""
    known = {driver.get("name", ""): driver for driver in old["spec"].get("drivers") or ()}
    for driver in new["spec"].get("drivers") or ():
        before = known.get(driver.get("name", ""))
        kept, was = ({k: v for k, v in d.items() if k != "allocatable"} for d in (driver, before or driver))
        yield from checks.unchanged("spec.drivers", kept, was)


def _node_drivers(obj: Object) -> Faults:
    drivers = obj["spec"].get("drivers") or []
    for place, driver in enumerate(drivers):
        path = f"spec.drivers[{place}]"
        yield from driver_name(driver.get("name", ""), f"{path}.name")
        yield from checks.present(driver, path, "nodeID")
        if len(driver.get("nodeID", "")) > _MAX_NODE_ID:
            yield invalid(f"{path}.nodeID", driver["nodeID"], f"must be {_MAX_NODE_ID} characters or less")
        yield from _topology_faults(driver.get("topologyKeys") or (), path)
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            yield invalid(f"{path}.allocatable.count", count, checks.NEGATIVE)
    names = [driver.get("name", "") for driver in drivers]
    yield from (FieldError(f"{f.field}.name", f.reason, f.detail) for f in checks.unique("spec.drivers", names))


def _attachment(obj: Object) -> Faults:
    yield from driver_name(obj["spec"].get("attacher", ""), "spec.attacher")
    yield from checks.present(obj["spec"], "spec", "nodeName")
    source = obj["spec"].get("source") or {}
    if not source.get("persistentVolumeName") and source.get("inlineVolumeSpec") is None:
        yield required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")


def _attachment_update(new: Object, old: Object) -> Faults:
    if new["spec"] != old["spec"]:
        yield invalid("spec", new["spec"], "field is immutable")


def _capacity(obj: Object) -> Faults:
    yield from checks.selector("nodeTopology", obj.get("nodeTopology"))
    yield from checks.dns_subdomain("storageClassName", obj.get("storageClassName", ""))
    if (amount := obj.get("capacity")) is not None:
        yield from checks.amount("capacity", amount)


def _capacity_update(new: Object, old: Object) -> Faults:
    for member in ("nodeTopology", "storageClassName"):
        yield from checks.unchanged(member, new.get(member), old.get(member))


def _attributes(obj: Object) -> Faults:
    yield from driver_name(obj.get("driverName", ""), "driverName")
    if not obj.get("parameters"):
        yield required("parameters", "must contain at least one key/value pair")


def _attributes_update(new: Object, old: Object) -> Faults:
    for member in ("driverName", "parameters"):
        if new.get(member) != old.get(member):
            yield forbidden(member, f"updates to {member} are forbidden.")


ROWS = {
    ("", "PersistentVolume"): Rules(
        default=(_default_volume,),
        prepare_create=(_create_volume,),
        prepare_update={"status": _volume_status},
        validate=(_volume, _mount_options),
        warnings=volume_warnings,
        validate_update=(_volume_update,),
    ),
    ("", "PersistentVolumeClaim"): Rules(
        default=(_default_claim,),
        prepare_create=(_create_claim,),
        prepare_update={"": _update_claim},
        validate=(_claim,),
        warnings=claim_warnings,
        validate_update=(_claim_update,),
    ),
    (GROUP, "StorageClass"): Rules(
        default=(_default_class,), validate=(_class,), validate_update=(_class_update,), warnings=class_warnings
    ),
    (GROUP, "CSIDriver"): Rules(
        default=(_default_driver,),
        validate=(_driver,),
        validate_update=(_driver_update,),
        prepare_update={"": _count_changes},
        disabled=_drop_driver_fields,
    ),
    (GROUP, "CSINode"): Rules(validate=(_node_drivers,), validate_update=(_node_drivers_update,)),
    (GROUP, "CSIStorageCapacity"): Rules(validate_create=(_capacity,), validate_update=(_capacity_update,)),
    (GROUP, "VolumeAttachment"): Rules(
        validate=(_attachment,), validate_update=(_attachment_update,), status_alone=True
    ),
    (GROUP, "VolumeAttributesClass"): Rules(validate=(_attributes,), validate_update=(_attributes_update,)),
}
