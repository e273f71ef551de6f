"""Which objects belong to which node: what the pods bound to it refer to, and what names it itself.

    node ← pod ← secret, configmap, serviceaccount, resourceclaim, persistentvolumeclaim ← persistentvolume ← secret
    node ← volumeattachment, resourceslice

Pure; `node_access` keeps one for each logical cluster in which a node has asked. An object need not be there to belong
to a node: references count, as in kube-apiserver's graph.
"""

from collections.abc import Iterator, Mapping
from typing import Any

PODS, VOLUMES = "pods", "persistentvolumes"
SECRETS, CONFIG_MAPS, ACCOUNTS, VOLUME_CLAIMS = "secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims"
RESOURCE_CLAIMS = "resourceclaims.resource.k8s.io"
ATTACHMENTS, SLICES = "volumeattachments.storage.k8s.io", "resourceslices.resource.k8s.io"
TYPES = frozenset((PODS, VOLUMES, ATTACHMENTS, SLICES))
MIRROR = "kubernetes.io/config.mirror"

Object = Mapping[str, Any]
Place = tuple[str, str]  # namespace ("": none) and name
Target = tuple[str, str, str]  # group resource, namespace, name

# Where a volume of a pod names a secret: its source, and the member that refers to it by a name, or by an object.
_BY_NAME = (("azureFile", "secretName"), ("secret", "secretName"))
_BY_REFERENCE = (
    ("cephfs", "secretRef"), ("cinder", "secretRef"), ("flexVolume", "secretRef"), ("rbd", "secretRef"),
    ("scaleIO", "secretRef"), ("iscsi", "secretRef"), ("storageos", "secretRef"), ("csi", "nodePublishSecretRef"),
)  # fmt: skip
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
# Of a PersistentVolume, what a kubelet needs. A secret without a namespace lies in the claim's.
_OF_VOLUME = ("cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos")
_CSI_OF_VOLUME = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


class NodeGraph:
    """Put what is stored, ask what belongs to whom."""

    def __init__(self) -> None:
        self._node_of: dict[Target, str] = {}  # of pods, attachments and slices
        self._targets: dict[Place, frozenset[Target]] = {}  # by pod
        self._nodes: dict[Target, dict[str, int]] = {}  # how many pods of each node refer to a target
        self._claim_of: dict[str, Place] = {}  # by volume
        self._secrets_of: dict[str, frozenset[Place]] = {}  # by volume
        self._volumes_with: dict[Place, set[str]] = {}  # by secret

    def put(self, group_resource: str, namespace: str, name: str, obj: Object | None) -> None:
        """An object as it is now; None: gone."""
        if group_resource == PODS:
            self._put_pod((namespace, name), obj)
        elif group_resource == VOLUMES:
            self._put_volume(name, obj)
        else:
            self._keep_node((group_resource, namespace, name), _spec(obj).get("nodeName") or "")

    def is_related(self, node: str, group_resource: str, namespace: str, name: str) -> bool:
        if group_resource == VOLUMES:
            return not namespace and self._has_volume(node, name)
        target = (group_resource, namespace, name)
        if group_resource in TYPES:
            return self._node_of.get(target) == node
        if node in self._nodes.get(target, ()):
            return True
        volumes = self._volumes_with.get((namespace, name), ()) if group_resource == SECRETS else ()
        return any(self._has_volume(node, volume) for volume in volumes)

    def _has_volume(self, node: str, name: str) -> bool:
        claim = self._claim_of.get(name)
        return claim is not None and node in self._nodes.get((VOLUME_CLAIMS, *claim), ())

    def _keep_node(self, target: Target, node: str) -> None:
        if node:
            self._node_of[target] = node
        else:
            self._node_of.pop(target, None)

    def _put_pod(self, place: Place, pod: Object | None) -> None:
        target = (PODS, *place)
        before = self._node_of.get(target, "")
        for each in self._targets.pop(place, ()):
            self._count(each, before, -1)
        node = _spec(pod).get("nodeName") or ""
        self._keep_node(target, node)
        if pod is None or not node:
            return
        found = frozenset(_targets_of(pod, place[0]))
        if found:
            self._targets[place] = found
        for each in found:
            self._count(each, node, 1)

    def _count(self, target: Target, node: str, change: int) -> None:
        counts = self._nodes.setdefault(target, {})
        counts[node] = counts.get(node, 0) + change
        if not counts[node]:
            del counts[node]
            if not counts:
                del self._nodes[target]

    def _put_volume(self, name: str, volume: Object | None) -> None:
        self._claim_of.pop(name, None)
        for secret in self._secrets_of.pop(name, ()):
            volumes = self._volumes_with[secret]
            volumes.discard(name)
            if not volumes:
                del self._volumes_with[secret]
        claim = _spec(volume).get("claimRef")
        if claim is None:
            return
        self._claim_of[name] = (claim.get("namespace") or "", claim.get("name") or "")
        found = frozenset(_secrets_of_volume(_spec(volume), claim.get("namespace") or ""))
        if found:
            self._secrets_of[name] = found
        for secret in found:
            self._volumes_with.setdefault(secret, set()).add(name)


def _spec(obj: Object | None) -> Object:
    return {} if obj is None else obj.get("spec") or {}


def _targets_of(pod: Object, namespace: str) -> Iterator[Target]:
    if MIRROR in (pod["metadata"].get("annotations") or {}):
        return  # a node makes these: it must not give itself rights that way
    spec = _spec(pod)
    if account := spec.get("serviceAccountName"):
        yield ACCOUNTS, namespace, account
    for name in secret_names(spec):
        yield SECRETS, namespace, name
    for name in config_map_names(spec):
        yield CONFIG_MAPS, namespace, name
    for name in _volume_claims(pod):
        yield VOLUME_CLAIMS, namespace, name
    for name in _resource_claims(pod):
        yield RESOURCE_CLAIMS, namespace, name


def secret_names(spec: Object) -> Iterator[str]:
    """Of a pod, those that are not empty."""
    for reference in spec.get("imagePullSecrets") or ():
        yield from _name(reference)
    yield from _container_names(spec, "secretRef", "secretKeyRef")
    for volume in spec.get("volumes") or ():
        for source, member in _BY_NAME:
            if name := (volume.get(source) or {}).get(member):
                yield name
        for source, member in _BY_REFERENCE:
            yield from _name((volume.get(source) or {}).get(member))
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _name(source.get("secret"))


def config_map_names(spec: Object) -> Iterator[str]:
    """Of a pod, those that are not empty."""
    yield from _container_names(spec, "configMapRef", "configMapKeyRef")
    for volume in spec.get("volumes") or ():
        yield from _name(volume.get("configMap"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _name(source.get("configMap"))


def _container_names(spec: Object, whole: str, key: str) -> Iterator[str]:
    for member in _CONTAINERS:
        for container in spec.get(member) or ():
            for source in container.get("envFrom") or ():
                yield from _name(source.get(whole))
            for variable in container.get("env") or ():
                yield from _name((variable.get("valueFrom") or {}).get(key))


def _name(reference: Object | None) -> Iterator[str]:
    if reference and (name := reference.get("name")):
        yield name


def _volume_claims(pod: Object) -> Iterator[str]:
    for volume in _spec(pod).get("volumes") or ():
        if name := claim_of_volume(pod, volume):
            yield name


def claim_of_volume(pod: Object, volume: Object) -> str:
    """The PersistentVolumeClaim behind a volume of a pod; "" if there is none."""
    if (claim := volume.get("persistentVolumeClaim")) is not None:
        return str(claim.get("claimName") or "")
    return f"{pod['metadata']['name']}-{volume['name']}" if volume.get("ephemeral") is not None else ""


def _resource_claims(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    made = {each["name"]: each.get("resourceClaimName") for each in status.get("resourceClaimStatuses") or ()}
    for claim in _spec(pod).get("resourceClaims") or ():
        name = claim.get("resourceClaimName")
        if not name and claim.get("resourceClaimTemplateName"):
            name = made.get(claim["name"])
        if name:
            yield name
    if name := (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName"):
        yield name


def _secrets_of_volume(spec: Object, home: str) -> Iterator[Place]:
    if (file := spec.get("azureFile")) is not None:
        if file.get("secretName"):
            yield file.get("secretNamespace") or home, file["secretName"]
        return
    for source in _OF_VOLUME:
        reference = (spec.get(source) or {}).get("secretRef")
        if reference and reference.get("name"):
            own = reference.get("namespace") or ""
            yield (own if source in ("cinder", "storageos") else own or home), reference["name"]
    for member in _CSI_OF_VOLUME:
        reference = (spec.get("csi") or {}).get(member)
        if reference and reference.get("name"):
            yield reference.get("namespace") or "", reference["name"]
