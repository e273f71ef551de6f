"""Printers of volumes and their drivers."""

from collections.abc import Mapping
from typing import Any

from kcpfront.printers.cells import NONE, UNSET, named, printer, spec_of, status_of
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age_of, name_of

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CLASS = "volume.beta.kubernetes.io/storage-class"

_CAPACITY = Column("Capacity", description="Its size.")
_ACCESS = Column("Access Modes", description="Who may use it at once.")
_STATUS = Column("Status", description="What has become of it.")
_STORAGE_CLASS = Column("StorageClass", description="Of what class it is.")
_ATTRIBUTES_CLASS = Column("VolumeAttributesClass", description="Which attributes it has.")
_MODE = Column("VolumeMode", description="A file system or a block device.", priority=1)


def _modes(given: Any) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (given or ()))


def _phase(obj: Object) -> str:
    gone = obj["metadata"].get("deletionTimestamp")
    return "Terminating" if gone else str(status_of(obj).get("phase", ""))


def _class(obj: Object) -> str:
    found: str = (obj["metadata"].get("annotations") or {}).get(_CLASS) or spec_of(obj).get("storageClassName") or ""
    return found


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value


@printer(
    NAME,
    _CAPACITY,
    _ACCESS,
    Column("Reclaim Policy", description="What becomes of it after its claim."),
    _STATUS,
    Column("Claim", description="Whose it is."),
    _STORAGE_CLASS,
    _ATTRIBUTES_CLASS,
    Column("Reason", description="Why it has failed."),
    AGE,
    _MODE,
)
def _volume(obj: Object, now: float) -> list[Any]:
    spec, claim = spec_of(obj), spec_of(obj).get("claimRef")
    owner = f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""
    return [
        name_of(obj), (spec.get("capacity") or {}).get("storage", "0"), _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""), _phase(obj), owner, _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")), status_of(obj).get("reason", ""), age_of(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]  # fmt: skip


@printer(
    NAME,
    _STATUS,
    Column("Volume", description="The volume it has."),
    _CAPACITY,
    _ACCESS,
    _STORAGE_CLASS,
    _ATTRIBUTES_CLASS,
    AGE,
    _MODE,
)
def _claim(obj: Object, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    volume, capacity, modes = spec.get("volumeName", ""), "", ""
    if volume:
        capacity, modes = (status.get("capacity") or {}).get("storage", "0"), _modes(status.get("accessModes"))
    return [
        name_of(obj), _phase(obj), volume, capacity, modes, _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")), age_of(obj, now), _or_unset(spec.get("volumeMode")),
    ]  # fmt: skip


@named(
    Column("Provisioner", description="Who makes volumes of the class."),
    Column("ReclaimPolicy", description="What becomes of them after their claims."),
    Column("VolumeBindingMode", description="When they are made."),
    Column("AllowVolumeExpansion", description="Whether they may grow."),
)
def _storage_class(obj: Object, now: float) -> list[Any]:
    annotations, name = obj["metadata"].get("annotations") or {}, name_of(obj)
    if any(annotations.get(key) == "true" for key in _DEFAULT_CLASS):
        name += " (default)"
    return [
        name, obj.get("provisioner", ""), obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")), age_of(obj, now),
    ]  # fmt: skip


@named(Column("DriverName", description="Whose attributes these are."))
def _attributes_class(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), obj.get("driverName", ""), age_of(obj, now)]


@named(
    Column("Attacher", format="name", description="Who attaches."),
    Column("PV", description="The volume."),
    Column("Node", description="Where it shall be."),
    Column("Attached", "boolean", description="Whether it is there."),
)
def _attachment(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool(status_of(obj).get("attached"))
    return [name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age_of(obj, now)]


@named(
    Column("AttachRequired", "boolean", description="Whether its volumes are attached to nodes."),
    Column("PodInfoOnMount", "boolean", description="Whether it is told of pods."),
    Column("StorageCapacity", "boolean", description="Whether its capacity counts where pods are placed."),
    Column("TokenRequests", description="Audiences of the tokens it is given."),
    Column("RequiresRepublish", "boolean", description="Whether it is called again and again."),
    Column("Modes", description="Kinds of volumes it has."),
)
def _driver(obj: Object, now: float) -> list[Any]:
    spec, tokens = spec_of(obj), spec_of(obj).get("tokenRequests")
    audiences = UNSET if tokens is None else ",".join(token.get("audience", "") for token in tokens)
    modes = ",".join(spec.get("volumeLifecycleModes") or ()) or NONE
    return [
        name_of(obj), spec.get("attachRequired", True), bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")), audiences, bool(spec.get("requiresRepublish")), modes, age_of(obj, now),
    ]  # fmt: skip


@named(Column("Drivers", "integer", description="Drivers on the node."))
def _driver_node(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), len(spec_of(obj).get("drivers") or ()), age_of(obj, now)]


PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("storage.k8s.io", "csidrivers"): _driver,
    ("storage.k8s.io", "csinodes"): _driver_node,
    ("storage.k8s.io", "storageclasses"): _storage_class,
    ("storage.k8s.io", "volumeattachments"): _attachment,
    ("storage.k8s.io", "volumeattributesclasses"): _attributes_class,
}
