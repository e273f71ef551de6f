"""Validation of the volumes of a pod: one source each, of the sorts that clusters still run."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.claim_faults import claim_spec_faults
from kcpshard.definitions.kinds.container_faults import (
    descending_path,
    field_reference_faults,
    no_backsteps,
    resource_reference_faults,
)

Faults = Iterator[FieldError]

_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_FILE_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_HOST_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def volumes_faults(volumes: Sequence[Object], path: str) -> tuple[Mapping[str, Object], list[FieldError]]:
    """The volumes without a fault, by name, and the faults of the others."""
    good: dict[str, Object] = {}
    faults: list[FieldError] = []
    for place, volume in enumerate(volumes):
        here, name = f"{path}[{place}]", volume.get("name", "")
        own = list(_source_faults(volume, here))
        own += [required(f"{here}.name")] if not name else checks.dns_label(f"{here}.name", name)
        if name in good:
            own.append(duplicate(f"{here}.name", name))
        if not own:
            good[name] = volume
        faults += own
    return good, faults


_ORDER = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip


def _place(source: str) -> int:
    """In the order in which kube-apiserver counts: the first one is judged, the others are too many."""
    return _ORDER.index(source) if source in _ORDER else len(_ORDER)


def _source_faults(volume: Object, path: str) -> Faults:
    given = sorted((m for m, value in volume.items() if isinstance(value, dict)), key=_place)
    if not given:
        yield required(path, "must specify a volume type")
        return
    yield from (forbidden(f"{path}.{m}", "may not specify more than 1 volume type") for m in given[1:])
    check = _SOURCES.get(given[0])
    if check is not None:
        yield from check(volume[given[0]], f"{path}.{given[0]}")


def _mode_faults(source: Object, path: str, member: str) -> Faults:
    mode = source.get(member)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(f"{path}.{member}", mode, _MODE_TEXT)


def _items_faults(source: Object, path: str) -> Faults:
    for place, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{place}]"
        yield from checks.present(item, here, "key", "path")
        yield from _local_path(f"{here}.path", item.get("path", ""))
        yield from _mode_faults(item, here, "mode")


def _local_path(path: str, value: str) -> Faults:
    yield from descending_path(path, value)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        yield invalid(path, value, "must not start with '..'")


def _empty_directory(source: Object, path: str) -> Faults:
    if str(source.get("sizeLimit", "")).startswith("-"):
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def host_path_faults(source: Object, path: str) -> Faults:
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source["path"])
    if source.get("type") not in (None, *_HOST_TYPES):
        yield from checks.one_supported(f"{path}.type", source["type"], _HOST_TYPES)


def _secret(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "secretName")
    yield from _mode_faults(source, path, "defaultMode")
    yield from _items_faults(source, path)


def _config_map(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "name")
    yield from _mode_faults(source, path, "defaultMode")
    yield from _items_faults(source, path)


def _claim(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "claimName")


def _downward(source: Object, path: str) -> Faults:
    yield from _mode_faults(source, path, "defaultMode")
    yield from _files_faults(source, path)


def _files_faults(source: Object, path: str) -> Faults:
    for file in source.get("items") or ():
        if not file.get("path"):
            yield required(f"{path}.path")
        yield from _local_path(f"{path}.path", file.get("path", ""))
        if (reference := file.get("fieldRef")) is not None:
            yield from field_reference_faults(reference, f"{path}.fieldRef", _FILE_FIELDS)
            if file.get("resourceFieldRef") is not None:
                yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif (reference := file.get("resourceFieldRef")) is not None:
            yield from resource_reference_faults(reference, f"{path}.resourceFieldRef", volume=True)
        else:
            yield required(path, "one of fieldRef and resourceFieldRef is required")
        yield from _mode_faults(file, path, "mode")


def _projected(source: Object, path: str) -> Faults:
    yield from _mode_faults(source, path, "defaultMode")
    for place, part in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{place}]"
        given = [member for member, value in part.items() if isinstance(value, dict)]
        yield from (forbidden(f"{here}.{m}", "may not specify more than 1 volume type per source") for m in given[1:])
        for member in given[:1]:
            yield from _projection(member, part[member], f"{here}.{member}")


def _projection(member: str, part: Object, path: str) -> Faults:
    if member in ("secret", "configMap"):
        yield from checks.present(part, path, "name")
        yield from _items_faults(part, path)
    elif member == "downwardAPI":
        yield from _files_faults(part, path)
    elif member == "serviceAccountToken":
        seconds = part.get("expirationSeconds", 3600)
        if seconds < 600:
            yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > 1 << 32:
            yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        yield from checks.present(part, path, "path")


def _server_and_path(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "server", "path")
    if source.get("path") and not source["path"].startswith("/"):
        yield invalid(f"{path}.path", source["path"], "must be an absolute path")


def _csi(source: Object, path: str) -> Faults:
    yield from driver_name_faults(source.get("driver", ""), f"{path}.driver")
    if (reference := source.get("nodePublishSecretRef")) is not None:
        yield from checks.present(reference, f"{path}.nodePublishSecretRef", "name")


def driver_name_faults(name: str, path: str) -> Faults:
    if not name:
        yield required(path)
    if len(name) > 63:
        yield FieldError(path, "FieldValueTooLong", "Too long: may not be more than 63 bytes")
    if name:
        yield from checks.dns_subdomain(path, name.lower())


def _ephemeral(source: Object, path: str) -> Faults:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
    else:
        yield from claim_spec_faults(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec")


def _image(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "reference")
    policies = ("Always", "IfNotPresent", "Never")
    yield from checks.one_supported(f"{path}.pullPolicy", source.get("pullPolicy"), policies)


_SOURCES: Mapping[str, Callable[[Object, str], Faults]] = {
    "configMap": _config_map,
    "csi": _csi,
    "downwardAPI": _downward,
    "emptyDir": _empty_directory,
    "ephemeral": _ephemeral,
    "hostPath": host_path_faults,
    "image": _image,
    "nfs": _server_and_path,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
    "secret": _secret,
}
