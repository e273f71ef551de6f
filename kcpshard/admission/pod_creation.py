"""What kube-apiserver's built-in admission gives a new pod: account, tolerations, priority, runtime class.

The plug-ins ServiceAccount, DefaultTolerationSeconds, Priority and RuntimeClass in one pass; and the class that
PersistentVolumeClaims get (DefaultStorageClass). They read the pending state of the pod's own logical cluster.
"""

from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.api.errors import ApiError, Forbidden
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_S = 300
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_S = 3607
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_MOST = 1000  # classes looked at
_MIRROR = "kubernetes.io/config.mirror"

Object = dict[str, Any]


def admit(attributes: "Attributes") -> None:
    if attributes.subresource or attributes.object is None or attributes.resource.definition is not None:
        return  # a definition of the tenant's may use the name too
    if attributes.operation == "UPDATE":
        if attributes.resource.group_resource == "pods":
            _keep(attributes.object, attributes.old or {})
        return
    if attributes.resource.group_resource == "pods":
        _admit_pod(attributes, attributes.object)
    elif attributes.resource.group_resource == "persistentvolumeclaims":
        _admit_claim(attributes, attributes.object["spec"])


def _keep(pod: Object, old: Object) -> None:
    """An update that does not repeat what was filled in does not take it away."""
    spec = pod["spec"] = dict(pod["spec"])
    for member in ("priority", "preemptionPolicy"):
        if spec.get(member) is None and (old.get("spec") or {}).get(member) is not None:
            spec[member] = old["spec"][member]
    _set_tolerations(spec)


def _admit_pod(attributes: "Attributes", pod: Object) -> None:
    spec = pod["spec"] = dict(pod["spec"])
    if _MIRROR not in (pod["metadata"].get("annotations") or {}):
        _set_account(attributes, spec)
    _set_tolerations(spec)
    _set_priority(attributes, spec)
    _set_runtime(attributes, spec)


def _found(attributes: "Attributes", group_resource: str, namespace: str, name: str) -> Object | None:
    if attributes.cluster is None:
        return None
    value = attributes.store.pending(attributes.cluster, group_resource, namespace, name)
    return None if value is None else orjson.loads(envelope.body(value))


def _set_account(attributes: "Attributes", spec: Object) -> None:
    name = spec["serviceAccountName"] = spec["serviceAccount"] = spec.get("serviceAccountName") or "default"
    account = _found(attributes, "serviceaccounts", attributes.namespace, name)
    if account is None:
        text = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
        raise _forbidden(attributes, text)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    if wanted is not False:
        _mount_token(attributes, spec)


def _mount_token(attributes: "Attributes", spec: Object) -> None:
    """A projected volume with token, CA and namespace, in every container that has nothing at that path."""
    name = "kube-api-access-" + _suffix(attributes)
    mounted = False
    for member in ("initContainers", "containers"):
        changed = []
        for container in spec.get(member) or ():
            mounts = container.get("volumeMounts") or []
            if all(mount.get("mountPath") != _TOKEN_PATH for mount in mounts):
                mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}
                container, mounted = {**container, "volumeMounts": [*mounts, mount]}, True
            changed.append(container)
        if changed:
            spec[member] = changed
    if mounted:
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": _token_sources()}]


def _suffix(attributes: "Attributes") -> str:
    """Five characters that differ from pod to pod: of its uid."""
    assert attributes.object is not None
    uid: str = attributes.object["metadata"]["uid"]
    return uid.replace("-", "")[-5:]


def _token_sources() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 0o644,
    }


def _set_tolerations(spec: Object) -> None:
    """A node that is away is waited for, unless the pod says how long itself."""
    held = list(spec.get("tolerations") or ())
    for key in _TOLERATED:
        if not any(t.get("key", "") in ("", key) and t.get("effect", "") in ("", "NoExecute") for t in held):
            held.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_S})
    spec["tolerations"] = held


def _set_priority(attributes: "Attributes", spec: Object) -> None:
    name, policy = spec.get("priorityClassName", ""), "PreemptLowerPriority"
    if name:
        value = _SYSTEM.get(name)
        found = _found(attributes, "priorityclasses.scheduling.k8s.io", "", name)
        if found is None and value is None:
            raise _forbidden(attributes, f"no PriorityClass with name {name} was found")
        value = found.get("value", 0) if found else value
        policy = found.get("preemptionPolicy", policy) if found else policy
    else:
        found = _default_priority(attributes)
        value = found.get("value", 0) if found else 0
        if found:
            spec["priorityClassName"] = found["metadata"]["name"]
            policy = found.get("preemptionPolicy", policy)
    given = spec.get("priority")
    if given is not None and given != value:
        raise _forbidden(
            attributes, f"the integer value of priority ({given}) must not be provided in pod spec; priority admission "
            f"controller computed {value} from the given PriorityClass name",
        )  # fmt: skip
    spec["priority"] = value
    wanted = spec.get("preemptionPolicy")
    if wanted is not None and wanted != policy:
        raise _forbidden(
            attributes, f"the string value of PreemptionPolicy ({wanted}) must not be provided in pod spec; priority "
            f"admission controller computed {policy} from the given PriorityClass name",
        )  # fmt: skip
    if spec.get("preemptionPolicy") is None:
        spec["preemptionPolicy"] = policy


def _default_priority(attributes: "Attributes") -> Object | None:
    """The global default; the smallest if there are several."""
    classes = [c for c in _all(attributes, "priorityclasses.scheduling.k8s.io") if c.get("globalDefault")]
    return min(classes, key=lambda c: c.get("value", 0)) if classes else None


def _all(attributes: "Attributes", group_resource: str) -> list[Object]:
    """The objects of a type of cluster scope: few, and rarely changed."""
    if attributes.cluster is None:
        return []
    return [
        orjson.loads(envelope.body(v))
        for v in attributes.store.scan_pending(attributes.cluster, group_resource, "", _MOST)
    ]


def _set_runtime(attributes: "Attributes", spec: Object) -> None:
    name = spec.get("runtimeClassName")
    if not name:
        if spec.get("overhead"):
            text = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise _forbidden(attributes, text)
        return
    found = _found(attributes, "runtimeclasses.node.k8s.io", "", name)
    if found is None:
        raise _forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
    overhead, scheduling = (found.get("overhead") or {}).get("podFixed"), found.get("scheduling") or {}
    if overhead:
        spec["overhead"] = overhead
    if scheduling.get("nodeSelector"):
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **scheduling["nodeSelector"]}
    if scheduling.get("tolerations"):
        spec["tolerations"] = [*spec["tolerations"], *scheduling["tolerations"]]


def _admit_claim(attributes: "Attributes", spec: Object) -> None:
    if spec.get("storageClassName") is not None:
        return
    classes = []
    for found in _all(attributes, "storageclasses.storage.k8s.io"):
        annotations = found["metadata"].get("annotations") or {}
        if any(annotations.get(key) == "true" for key in _DEFAULT_CLASS):
            classes.append((found["metadata"].get("creationTimestamp", ""), found["metadata"]["name"]))
    if classes:
        spec["storageClassName"] = max(classes)[1]


def _forbidden(attributes: "Attributes", text: str) -> ApiError:
    resource, name = attributes.resource, attributes.name
    shown = f'{resource.plural} "{name}" is forbidden: {text}'
    return Forbidden(shown, name=name, group=resource.group, kind=resource.plural)
