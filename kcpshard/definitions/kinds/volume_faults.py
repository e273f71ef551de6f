"""Validation of the volumes of a pod: a name and one source each."""

from collections.abc import Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds import volume_sources
from kcpshard.definitions.kinds.claim_faults import claim_spec_faults
from kcpshard.definitions.kinds.container_faults import field_reference_faults, resource_reference_faults
from kcpshard.definitions.kinds.volume_sources import descending_path

Faults = Iterator[FieldError]

_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_FILE_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")


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
    yield from (volume_sources.one_too_many(path, member) for member in given[1:])
    if (check := _SOURCES.get(given[0])) is not None:
        yield from volume_sources.source_faults(check, volume[given[0]], path, given[0])
    name, portal = volume.get("name", ""), volume.get("iscsi")
    if portal is not None and volume_sources.names_too_long(name, portal):
        yield invalid(f"{path}.name", name, volume_sources.NAME_TEXT)


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


def _secret(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "secretName")
    yield from _mode_faults(source, path, "defaultMode")
    yield from _items_faults(source, path)


def _config_map(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "name")
    yield from _mode_faults(source, path, "defaultMode")
    yield from _items_faults(source, path)


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
    taken: set[str] = set()
    for place, part in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{place}]"
        given = [member for member in _PARTS if part.get(member) is not None]
        for member in given:
            yield from _projection(member, part[member], f"{here}.{member}", path)
            for file, shown in _files(member, part[member]):
                if file in taken:
                    yield invalid(path, shown, "conflicting duplicate paths")
                taken.add(file)
        if len(given) > 1:
            yield forbidden(here, "may not specify more than 1 volume type per source")


_PARTS = ("secret", "configMap", "downwardAPI", "serviceAccountToken")


def _files(member: str, part: Object) -> Iterator[tuple[str, str]]:
    """The files that a part makes, and what is said of one that another part makes too."""
    if member in ("secret", "configMap", "downwardAPI"):
        for item in part.get("items") or ():
            if item.get("path"):
                yield item["path"], item["path"] if member == "downwardAPI" else part.get("name", "")


def _projection(member: str, part: Object, path: str, whole: str) -> Faults:
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
        if not part.get("path"):
            yield required(f"{whole}.path")
        else:
            yield from _local_path(f"{whole}.path", part["path"])


_TEMPLATE_MEMBERS = ("annotations", "labels")
_UNSET = ("creationTimestamp", "managedFields")


def _ephemeral(source: Object, path: str) -> Faults:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
        return
    here = f"{path}.volumeClaimTemplate"
    yield from template_metadata_faults(template.get("metadata") or {}, f"{here}.metadata")
    yield from claim_spec_faults(template.get("spec") or {}, f"{here}.spec")


def template_metadata_faults(meta: Object, path: str) -> Faults:
    """What objects that are made from a template get of its metadata is labels and annotations, nothing else."""
    yield from checks.annotations(f"{path}.annotations", meta.get("annotations"))
    yield from checks.labels(f"{path}.labels", meta.get("labels"))
    for member, value in meta.items():
        if value and member not in (*_TEMPLATE_MEMBERS, *_UNSET):
            shown = {"uid": "uID"}.get(member, member)
            yield forbidden(f"{path}.{shown}", "cannot be set")


def _image(source: Object, path: str) -> Faults:
    policies = ("Always", "IfNotPresent", "Never")
    yield from checks.one_supported(f"{path}.pullPolicy", source.get("pullPolicy"), policies)


_SOURCES: Mapping[str, volume_sources.Check] = {
    **volume_sources.POD,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "emptyDir": _empty_directory,
    "ephemeral": _ephemeral,
    "image": _image,
    "projected": _projected,
    "secret": _secret,
}
