"""The secrets that a pod refers to, and those that its service account lets it refer to."""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

_LIMITED = "kubernetes.io/enforce-mountable-secrets"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_CONTAINERS = {
    "initContainers": "init container", "containers": "container", "ephemeralContainers": "ephemeral container",
}  # fmt: skip
# Where a volume names a secret: its source, the member that refers to it, and whose name that is.
_SOURCES = (
    ("azureFile", "secretName"), ("cephfs", "secretRef"), ("cinder", "secretRef"), ("flexVolume", "secretRef"),
    ("rbd", "secretRef"), ("secret", "secretName"), ("scaleIO", "secretRef"), ("iscsi", "secretRef"),
    ("storageos", "secretRef"), ("csi", "nodePublishSecretRef"),
)  # fmt: skip


def are_limited(account: Object) -> bool:
    return (account["metadata"].get("annotations") or {}).get(_LIMITED) in _TRUE


def has_secrets(spec: Object) -> bool:
    """Whether the pod refers to a secret in any way."""
    if spec.get("imagePullSecrets"):
        return True
    if any(name is not None for member in _CONTAINERS for _, _, name in _of_containers(spec, member)):
        return True
    return any(_volume_has(volume) for volume in spec.get("volumes") or ())


def fault(account: Object, spec: Object, members: tuple[str, ...]) -> str:
    """What the account does not list; "" if it lists all. `members` are the lists of containers that are looked at, the
    rest of the pod only with its containers."""
    listed = {secret.get("name", "") for secret in account.get("secrets") or ()}
    whose = f"is not allowed because service account {account['metadata']['name']} does not reference that"
    is_whole = "containers" in members
    for volume in (spec.get("volumes") or ()) if is_whole else ():
        name = (volume.get("secret") or {}).get("secretName")
        if volume.get("secret") is not None and name not in listed:
            return f'volume with secret.secretName="{name or ""}" {whose} secret'
    for member in members:
        for container, how, name in _of_containers(spec, member):
            if name not in listed:
                start = f"{_CONTAINERS[member]} {container} with {how} referencing secret.secretName"
                return f'{start}="{name}" {whose} secret'
    pulled = {secret.get("name", "") for secret in account.get("imagePullSecrets") or ()}
    for place, secret in enumerate(spec.get("imagePullSecrets") or () if is_whole else ()):
        if secret.get("name", "") not in pulled:
            return f'imagePullSecrets[{place}].name="{secret.get("name", "")}" {whose} imagePullSecret'
    return ""


def _of_containers(spec: Object, member: str) -> Iterator[tuple[str, str, str]]:
    """Name of the container, how it refers to a secret, and the secret's name."""
    for container in spec.get(member) or ():
        name = container.get("name", "")
        for variable in container.get("env") or ():
            if (key := (variable.get("valueFrom") or {}).get("secretKeyRef")) is not None:
                yield name, f"envVar {variable.get('name', '')}", key.get("name", "")
        for source in container.get("envFrom") or ():
            if (reference := source.get("secretRef")) is not None:
                yield name, "envFrom", reference.get("name", "")


def _volume_has(volume: Object) -> bool:
    if any((volume.get(source) or {}).get(member) for source, member in _SOURCES):
        return True
    return any(source.get("secret") for source in (volume.get("projected") or {}).get("sources") or ())
