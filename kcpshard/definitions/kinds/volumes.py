"""PersistentVolume, PersistentVolumeClaim and the storage group."""

from collections.abc import Iterator
from datetime import UTC, datetime

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.affinity_faults import node_selector_faults
from kcpshard.definitions.kinds.claim_faults import VOLUME_MODES, access_mode_faults, claim_spec_faults, positive_amount
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.kinds.volume_faults import driver_name_faults, host_path_faults
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
_SHOWN = {"cephfs": "cephFS"}  # where it is one source too many
_CLAIM_PROTECTION, _VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def _protect(finalizer: str, obj: Object) -> None:
    """Nobody takes away what is in use: the controllers remove the finalizer."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer not in held:
        obj["metadata"]["finalizers"] = [*held, finalizer]


def _default_volume(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    fill(obj.setdefault("status", {}), phase="Pending")
    if (path := spec.get("hostPath")) is not None and path.get("type") is None:
        path["type"] = ""


def _create_volume(obj: Object) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": since}
    _protect(_VOLUME_PROTECTION, obj)


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
        yield from checks.amount(f"spec.capacity[{name}]", text)
        yield from positive_amount(f"spec.capacity[{name}]", text)
    policy = spec["persistentVolumeReclaimPolicy"]
    yield from checks.one_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM)
    if (affinity := spec.get("nodeAffinity")) is not None:
        if affinity.get("required") is None:
            yield required("spec.nodeAffinity.required", "must specify required node constraints")
        else:
            yield from node_selector_faults(affinity["required"], "spec.nodeAffinity.required")
    yield from _source_faults(spec)
    if spec.get("storageClassName"):
        yield from checks.dns_subdomain("spec.storageClassName", spec["storageClassName"])
    if spec["volumeMode"] not in VOLUME_MODES:
        yield from checks.one_supported("spec.volumeMode", spec["volumeMode"], VOLUME_MODES)


_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")


def _secret_faults(reference: Object, path: str) -> Faults:
    for member, rule in (("name", checks.dns_subdomain), ("namespace", checks.dns_label)):
        if reference.get(member):
            yield from rule(f"{path}.{member}", reference[member])
        else:
            yield required(f"{path}.{member}")


def _source_faults(spec: Object) -> Faults:
    given = [member for member in _SOURCES if spec.get(member) is not None]
    if not given:
        yield required("spec", "must specify a volume type")
        return
    for member in given[1:]:
        if member != "flexVolume":
            yield forbidden(f"spec.{_SHOWN.get(member, member)}", "may not specify more than 1 volume type")
    source, path = spec[given[0]], f"spec.{given[0]}"
    match given[0]:
        case "hostPath":
            yield from host_path_faults(source, path)
            if source.get("path") == "/" and spec["persistentVolumeReclaimPolicy"] == "Recycle":
                yield forbidden(
                    "spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"
                )
        case "local":
            yield from checks.present(source, path, "path")
            if spec.get("nodeAffinity") is None:
                yield required("spec.nodeAffinity", "Local volume requires node affinity")
        case "csi":
            yield from driver_name_faults(source.get("driver", ""), f"{path}.driver")
            yield from checks.present(source, path, "volumeHandle")
            for member in _SECRETS:
                if (reference := source.get(member)) is not None:
                    yield from _secret_faults(reference, f"{path}.{member}")
        case "nfs":
            yield from checks.present(source, path, "server", "path")
            if source.get("path") and not source["path"].startswith("/"):
                yield invalid(f"{path}.path", source["path"], "must be an absolute path")


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
    if after != before:
        yield forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation\n")
    yield from checks.unchanged("volumeMode", new["spec"].get("volumeMode"), old["spec"].get("volumeMode"))


def _default_claim(obj: Object) -> None:
    fill(obj["spec"], volumeMode="Filesystem")
    fill(obj.setdefault("status", {}), phase="Pending")


_OLD_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


def _align_sources(obj: Object, old: Object) -> None:
    """dataSource takes only what it always took, dataSourceRef anything; where one is given, the other says it too."""
    source, reference = obj["spec"].get("dataSource"), obj["spec"].get("dataSourceRef")
    before = (old.get("spec") or {}).get("dataSource")
    if source is not None and before is None and (source.get("apiGroup") or "", source.get("kind")) not in _OLD_SOURCES:
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


def _claim_update(new: Object, old: Object) -> Faults:
    after, before = dict(new["spec"]), dict(old["spec"])
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
    if before.get("storageClassName") is None:
        before["storageClassName"] = after.get("storageClassName")
    sizes = [(spec.get("resources") or {}).get("requests", {}).get("storage", "0") for spec in (after, before)]
    if (old.get("status") or {}).get("phase") == "Bound":
        before["volumeAttributesClassName"] = after.get("volumeAttributesClassName")
        before["resources"] = after.get("resources")
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
    yield from driver_name_faults(obj["metadata"].get("name", ""), "metadata.name")
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    yield from checks.one_supported("spec.fsGroupPolicy", obj["spec"]["fsGroupPolicy"], policies)
    for mode in obj["spec"]["volumeLifecycleModes"]:
        yield from checks.one_supported("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))


def _driver_update(new: Object, old: Object) -> Faults:
    for member in ("attachRequired", "volumeLifecycleModes"):
        yield from checks.unchanged(f"spec.{member}", new["spec"].get(member), old["spec"].get(member))


def _node_drivers(obj: Object) -> Faults:
    drivers = obj["spec"].get("drivers") or []
    for place, driver in enumerate(drivers):
        path = f"spec.drivers[{place}]"
        yield from driver_name_faults(driver.get("name", ""), f"{path}.name")
        yield from checks.present(driver, path, "nodeID")
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            yield invalid(f"{path}.allocatable.count", count, checks.NEGATIVE)
    names = [driver.get("name", "") for driver in drivers]
    yield from (FieldError(f"{f.field}.name", f.reason, f.detail) for f in checks.unique("spec.drivers", names))


def _attachment(obj: Object) -> Faults:
    yield from driver_name_faults(obj["spec"].get("attacher", ""), "spec.attacher")
    yield from checks.present(obj["spec"], "spec", "nodeName")
    source = obj["spec"].get("source") or {}
    if not source.get("persistentVolumeName") and source.get("inlineVolumeSpec") is None:
        yield required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")


def _attachment_update(new: Object, old: Object) -> Faults:
    if new["spec"] != old["spec"]:
        yield invalid("spec", new["spec"], "field is immutable")


def _attributes(obj: Object) -> Faults:
    yield from driver_name_faults(obj.get("driverName", ""), "driverName")
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
        validate=(_volume,),
        validate_update=(_volume_update,),
    ),
    ("", "PersistentVolumeClaim"): Rules(
        default=(_default_claim,),
        prepare_create=(_create_claim,),
        prepare_update={"": _update_claim},
        validate=(_claim,),
        validate_update=(_claim_update,),
    ),
    (GROUP, "StorageClass"): Rules(default=(_default_class,), validate=(_class,), validate_update=(_class_update,)),
    (GROUP, "CSIDriver"): Rules(
        default=(_default_driver,),
        validate=(_driver,),
        validate_update=(_driver_update,),
        prepare_update={"": _count_changes},
    ),
    (GROUP, "CSINode"): Rules(validate=(_node_drivers,)),
    (GROUP, "VolumeAttachment"): Rules(
        validate=(_attachment,), validate_update=(_attachment_update,), status_alone=True
    ),
    (GROUP, "VolumeAttributesClass"): Rules(validate=(_attributes,), validate_update=(_attributes_update,)),
}
