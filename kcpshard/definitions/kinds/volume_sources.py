"""What a source of a volume must say: in a pod's volume, and where that differs in a PersistentVolume.

Also of the sorts that no cluster runs any more: they are stored, and so they are judged. A row is a function of the
source and its path; which source of several counts is decided by those who know the order (`volume_faults`, `volumes`).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object

Faults = Iterator[FieldError]
Check = Callable[[Object, str], Faults]

_HOST_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([0-9A-Za-z.-]+)(:[^,;*&$|\s]+)"),
    "eui": re.compile(r"eui.[0-9A-Za-z]{16}"),
    "naa": re.compile(r"naa.[0-9A-Za-z]{32}"),
}
_FORMAT = "must be valid format"
_PARTITION_TEXT, _LUN_TEXT = (f"must be between {least} and 255, inclusive" for least in (1, 0))
_TENANT_BYTES = 64
_ISCSI_BYTES = 64
_NETWORK = "must be a host:port pair or multiple pairs separated by commas"


def descending_path(path: str, value: str) -> Faults:
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from no_backsteps(path, value)


def no_backsteps(path: str, value: str) -> Faults:
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def _needs(*members: str) -> Check:
    """Of which these members are all that must be there."""
    return lambda source, path: checks.present(source, path, *members)


def _secret_name(source: Object, path: str, *members: str) -> Faults:
    """A reference to a secret, if there is one, with these members."""
    if (reference := source.get("secretRef")) is not None:
        yield from checks.present(reference, f"{path}.secretRef", *members)


def host_path(source: Object, path: str) -> Faults:
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source["path"])
    if (kind := source.get("type")) is not None:
        yield from checks.supported(f"{path}.type", kind, _HOST_TYPES)


def _git(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "repository")
    yield from descending_path(f"{path}.directory", source.get("directory", ""))


def _disk(member: str) -> Check:
    """A disk of a provider, named by `member`; one partition of it perhaps."""

    def check(source: Object, path: str) -> Faults:
        yield from checks.present(source, path, member)
        if not 0 <= source.get("partition", 0) <= 255:
            yield invalid(f"{path}.partition", source["partition"], _PARTITION_TEXT)

    return check


def nfs(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "server", "path")
    if not source.get("path", "").startswith("/"):
        yield invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _initiator(path: str, name: str, otherwise: str) -> Faults:
    """`otherwise` is what is said of a name of none of the three forms."""
    pattern = _INITIATORS.get(name[:3])
    if pattern is None:
        yield invalid(path, name, otherwise)
    elif not pattern.fullmatch(name):
        yield invalid(path, name, _FORMAT)


def _lun(path: str, lun: int) -> Faults:
    if not 0 <= lun <= 255:
        yield invalid(f"{path}.lun", lun, _LUN_TEXT)


def _iscsi(source: Object, path: str, otherwise: str = f"{_FORMAT} starting with iqn, eui, or naa") -> Faults:
    yield from checks.present(source, path, "targetPortal", "iqn")
    if name := source.get("iqn"):
        yield from _initiator(f"{path}.iqn", name, otherwise)
    yield from _lun(path, source.get("lun", 0))
    wants_secret = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if wants_secret and source.get("secretRef") is None:
        yield required(f"{path}.secretRef")
    if (name := source.get("initiatorName")) is not None:
        yield from _initiator(f"{path}.initiatorname", name, otherwise)


def _persistent_iscsi(source: Object, path: str) -> Faults:
    yield from _iscsi(source, path, _FORMAT)
    yield from _secret_name(source, path, "name")


def names_too_long(name: str, source: Object) -> bool:
    """Of an iSCSI volume of this name: whether what the initiator is told would not fit."""
    portal = source.get("targetPortal", "")
    return source.get("initiatorName") is not None and len(f"{name}:{portal}".encode()) > _ISCSI_BYTES


NAME_TEXT = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
    "specified."
)


def _fibre_channel(source: Object, path: str) -> Faults:
    targets, ids = source.get("targetWWNs") or (), source.get("wwids") or ()
    if not targets and not ids:
        yield required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if targets and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        yield invalid(f"{path}.targetWWNs", targets, text)
    if targets:
        if source.get("lun") is None:
            yield required(f"{path}.lun", "lun is required if targetWWNs is specified")
        else:
            yield from _lun(path, source["lun"])


def _persistent_gluster(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "endpoints", "path")
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        yield invalid(f"{path}.endpointsNamespace", "", text)
    elif namespace is not None:
        yield from checks.dns_label(f"{path}.endpointsNamespace", namespace)


def _flocker(source: Object, path: str) -> Faults:
    name, identity = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not identity:
        yield required(path, "one of datasetName and datasetUUID is required")
    if name and identity:
        yield invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        yield invalid(f"{path}.datasetName", name, "must not contain '/'")


def _is_host_and_port(pair: str) -> bool:
    """As Go's net.SplitHostPort sees it: one colon, or more in square brackets."""
    host, colon, _ = pair.rpartition(":")
    if not colon:
        return False
    if host.startswith("["):
        return host.endswith("]") and not set("[]") & set(host[1:-1])
    return not set(":[]") & set(host)


def _quobyte(source: Object, path: str) -> Faults:
    registry = source.get("registry", "")
    if not registry:
        yield required(f"{path}.registry", _NETWORK)
    elif len(source.get("tenant", "").encode()) > _TENANT_BYTES:
        text = "must be a UUID and may not exceed a length of 64 characters"
        yield required(f"{path}.tenant", text)
    elif not all(map(_is_host_and_port, registry.split(","))):
        yield invalid(f"{path}.registry", registry, _NETWORK)
    yield from checks.present(source, path, "volume")


def _cinder(*members: str) -> Check:
    def check(source: Object, path: str) -> Faults:
        yield from checks.present(source, path, "volumeID")
        yield from _secret_name(source, path, *members)

    return check


def _flex(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "driver")
    for key in source.get("options") or ():
        domain = f".{key.partition('/')[0].lower()}"
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            yield invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def _persistent_file(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "secretName", "shareName")
    if source.get("secretNamespace") == "":
        yield required(f"{path}.secretNamespace")


_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def _azure_disk(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "diskName", "diskURI")
    if (mode := source.get("cachingMode")) is not None:
        yield from checks.supported(f"{path}.cachingMode", mode, ("None", "ReadOnly", "ReadWrite"))
    kind, place = source.get("kind"), source.get("diskURI", "")
    if kind is None:
        return
    yield from checks.supported(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
    start, form = ("/subscriptions/", _MANAGED) if kind == "Managed" else ("https://", _BLOB)
    if not place.startswith(start):
        yield checks.unsupported(f"{path}.diskURI", place, (form,))


def _storage_os(*members: str) -> Check:
    def check(source: Object, path: str) -> Faults:
        yield from checks.present(source, path, "volumeName")
        for member in ("volumeName", "volumeNamespace"):
            if source.get(member):
                yield from checks.dns_label(f"{path}.{member}", source[member])
        yield from _secret_name(source, path, *members)

    return check


def driver_name(name: str, path: str) -> Faults:
    if not name:
        yield required(path)
        return
    if len(name) > 63:
        yield FieldError(path, "FieldValueTooLong", "Too long: may not be more than 63 bytes")
    yield from checks.dns_subdomain(path, name.lower())


def _csi(source: Object, path: str) -> Faults:
    yield from driver_name(source.get("driver", ""), f"{path}.driver")
    if (reference := source.get("nodePublishSecretRef")) is not None:
        if not reference.get("name"):
            yield required(f"{path}.nodePublishSecretRef.name")
        else:
            yield from checks.dns_subdomain(f"{path}.name", reference["name"])


_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")


def _persistent_csi(source: Object, path: str) -> Faults:
    yield from driver_name(source.get("driver", ""), f"{path}.driver")
    yield from checks.present(source, path, "volumeHandle")
    for member in _SECRETS:
        if (reference := source.get(member)) is not None:
            yield from _placed_secret(reference, f"{path}.{member}")


def _placed_secret(reference: Object, path: str) -> Faults:
    for member, rule in (("name", checks.dns_subdomain), ("namespace", checks.dns_label)):
        if reference.get(member):
            yield from rule(f"{path}.{member}", reference[member])
        else:
            yield required(f"{path}.{member}")


def _local(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "path")
    yield from no_backsteps(f"{path}.path", source.get("path", ""))


_BOTH: Mapping[str, Check] = {
    "awsElasticBlockStore": _disk("volumeID"),
    "azureDisk": _azure_disk,
    "cephfs": _needs("monitors"),
    "fc": _fibre_channel,
    "flexVolume": _flex,
    "flocker": _flocker,
    "gcePersistentDisk": _disk("pdName"),
    "hostPath": host_path,
    "nfs": nfs,
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "quobyte": _quobyte,
    "rbd": _needs("monitors", "image"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "vsphereVolume": _needs("volumePath"),
}
POD: Mapping[str, Check] = {
    **_BOTH,
    "azureFile": _needs("secretName", "shareName"),
    "cinder": _cinder("name"),
    "csi": _csi,
    "gitRepo": _git,
    "glusterfs": _needs("endpoints", "path"),
    "iscsi": _iscsi,
    "persistentVolumeClaim": _needs("claimName"),
    "storageos": _storage_os("name"),
}
PERSISTENT: Mapping[str, Check] = {
    **_BOTH,
    "azureFile": _persistent_file,
    "cinder": _cinder("name", "namespace"),
    "csi": _persistent_csi,
    "glusterfs": _persistent_gluster,
    "iscsi": _persistent_iscsi,
    "local": _local,
    "storageos": _storage_os("name", "namespace"),
}
_JUDGED_AS = {"gcePersistentDisk": "persistentDisk"}
_SHOWN_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}  # where it is one source too many


def source_faults(check: Check, source: Object, path: str, member: str) -> Faults:
    """Of the source that counts, `path` being that of the volume."""
    return check(source, f"{path}.{_JUDGED_AS.get(member, member)}")


def one_too_many(path: str, member: str) -> FieldError:
    return forbidden(f"{path}.{_SHOWN_AS.get(member, member)}", "may not specify more than 1 volume type")
