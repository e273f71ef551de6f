"""What the pods of an object refer to in their own namespace: secrets, config maps, service accounts. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Raw = Mapping[str, Any]


class Reference(NamedTuple):
    """A secret, config map or service account that an object's pods need."""

    plural: str
    kind: str
    name: str


def references(obj: Raw) -> set[Reference]:
    """What the object's pods name in their own namespace, wherever in it a pod's spec is."""
    return {reference for pod in _pod_specs(obj.get("spec"), obj.get("kind") == "Pod") for reference in _of_pod(pod)}


def _pod_specs(node: Any, is_pod: bool) -> Iterator[Raw]:
    if not isinstance(node, dict):
        return
    if is_pod:
        yield node
        return
    template = node.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict) and "containers" in template["spec"]:
        yield template["spec"]
    if isinstance(job := node.get("jobTemplate"), dict):
        yield from _pod_specs(job.get("spec"), False)


def _of_pod(pod: Raw) -> Iterator[Reference]:
    for volume in pod.get("volumes") or ():
        yield from _of_volume(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source, "secret", "configMap", "name")
    for container in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())):
        for each in container.get("env") or ():
            yield from _named(each.get("valueFrom") or {}, "secretKeyRef", "configMapKeyRef", "name")
        for each in container.get("envFrom") or ():
            yield from _named(each, "secretRef", "configMapRef", "name")
    for each in pod.get("imagePullSecrets") or ():
        if each.get("name"):
            yield Reference("secrets", "Secret", each["name"])
    account = pod.get("serviceAccountName")
    if account and account != "default":
        yield Reference("serviceaccounts", "ServiceAccount", account)


def _of_volume(volume: Raw) -> Iterator[Reference]:
    if name := (volume.get("secret") or {}).get("secretName"):
        yield Reference("secrets", "Secret", name)
    yield from _named({"configMap": volume.get("configMap")}, "", "configMap", "name")


def _named(node: Raw, secret: str, config_map: str, key: str) -> Iterator[Reference]:
    if secret and (name := (node.get(secret) or {}).get(key)):
        yield Reference("secrets", "Secret", name)
    # Every namespace of a cluster has its own.
    if (name := (node.get(config_map) or {}).get(key)) and name != "kube-root-ca.crt":
        yield Reference("configmaps", "ConfigMap", name)
