"""What kube-apiserver's built-in admission gives a new pod: account, tolerations, priority, runtime class.

The plug-ins ServiceAccount, Priority, DefaultTolerationSeconds and RuntimeClass. They read the pending state of the
pod's own logical cluster. What only judges (`check`) comes after the pod's own validation.
"""

from typing import TYPE_CHECKING, Any

import orjson

from kcpshard.admission import pod_secrets
from kcpshard.api.errors import ApiError, Forbidden
from kcpshard.definitions.quantities import are_equal
from kcpshard.storage import envelope

if TYPE_CHECKING:
    from kcpshard.admission.attributes import Attributes

_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_S = 300
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_S = 3607
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_MOST = 1000  # classes looked at
_PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
_OTHER_OVERHEAD = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_MIRROR = "kubernetes.io/config.mirror"

Object = dict[str, Any]


def admit(attributes: "Attributes") -> None:
    if attributes.subresource or attributes.object is None or attributes.resource.definition is not None:
        return  # a definition of the tenant's may use the name too
    if attributes.operation == "UPDATE":
        if attributes.resource.group_resource == "pods":
            _keep(attributes.object, attributes.old or {})
        return
    if attributes.operation == "CREATE" and attributes.resource.group_resource == "pods":
        _admit_pod(attributes, attributes.object)


def check(attributes: "Attributes") -> None:
    """Raises Forbidden."""
    resource, obj = attributes.resource, attributes.object
    if obj is None or resource.definition is not None:
        return
    if resource.group_resource == "pods":
        if attributes.operation == "CREATE" and not attributes.subresource:
            _check_references(attributes, obj)
            _check_overhead(attributes, obj["spec"])
        elif attributes.subresource == "ephemeralcontainers":
            _check_secrets(attributes, obj, ("ephemeralContainers",))
    elif resource.group_resource == _PRIORITY_CLASSES and obj.get("globalDefault") and not attributes.subresource:
        _check_only_default(attributes)


def _keep(pod: Object, old: Object) -> None:
    """An update that does not repeat what was filled in does not take it away."""
    spec = pod["spec"] = dict(pod["spec"])
    for member in ("priority", "preemptionPolicy"):
        if spec.get(member) is None and (old.get("spec") or {}).get(member) is not None:
            spec[member] = old["spec"][member]
    _set_tolerations(spec)


def _admit_pod(attributes: "Attributes", pod: Object) -> None:
    spec = pod["spec"] = dict(pod["spec"])
    if _is_mirror(pod):
        _check_mirror(attributes, spec)
    else:
        _set_account(attributes, spec)
        _check_references(attributes, pod)
    _set_priority(attributes, spec)
    _set_tolerations(spec)
    _set_runtime(attributes, spec)


def _set_account(attributes: "Attributes", spec: Object) -> None:
    name = spec["serviceAccountName"] = spec["serviceAccount"] = spec.get("serviceAccountName") or "default"
    account = attributes.stored("serviceaccounts", attributes.namespace, name)
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


def _check_references(attributes: "Attributes", pod: Object) -> None:
    """That the pod refers only to what there is and it may refer to."""
    spec = pod["spec"]
    if _is_mirror(pod):
        _check_mirror(attributes, spec)
    elif not spec.get("serviceAccountName"):
        shown = f"{attributes.namespace}/{attributes.name}"
        raise _forbidden(attributes, f"no service account specified for pod {shown}")
    else:
        _check_secrets(attributes, pod, ("initContainers", "containers"))


def _is_mirror(pod: Object) -> bool:
    return _MIRROR in (pod["metadata"].get("annotations") or {})


def _check_mirror(attributes: "Attributes", spec: Object) -> None:
    """A pod that a kubelet shows is not told secrets by the cluster."""
    if spec.get("serviceAccountName"):
        raise _forbidden(attributes, "a mirror pod may not reference service accounts")
    if pod_secrets.has_secrets(spec):
        raise _forbidden(attributes, "a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        if any(s.get("serviceAccountToken") for s in (volume.get("projected") or {}).get("sources") or ()):
            raise _forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


def _check_secrets(attributes: "Attributes", pod: Object, members: tuple[str, ...]) -> None:
    """Where the account says so, its pods may only use the secrets that it lists."""
    name = pod["spec"].get("serviceAccountName", "")
    account = attributes.stored("serviceaccounts", attributes.namespace, name)
    if account is None:
        text = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
        raise _forbidden(attributes, text)
    if pod_secrets.are_limited(account) and (fault := pod_secrets.fault(account, pod["spec"], members)):
        raise _forbidden(attributes, fault)


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
        found = attributes.stored(_PRIORITY_CLASSES, "", name)
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


def _check_only_default(attributes: "Attributes") -> None:
    found = _default_priority(attributes)
    if found is not None and (attributes.operation == "CREATE" or found["metadata"]["name"] != attributes.name):
        name = found["metadata"]["name"]
        raise _forbidden(attributes, f"PriorityClass {name} is already marked as default. Only one default can exist")


def _default_priority(attributes: "Attributes") -> Object | None:
    """The global default; the smallest if there are several."""
    classes = [c for c in _all(attributes, _PRIORITY_CLASSES) if c.get("globalDefault")]
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
    """What pods of the class need beside their containers, and where they may run."""
    found = _runtime_class(attributes, spec)
    overhead, scheduling = _overhead(found), (found or {}).get("scheduling") or {}
    if overhead is not None:
        if spec.get("overhead") and not are_equal(spec["overhead"], overhead):
            raise _forbidden(attributes, _OTHER_OVERHEAD)
        spec["overhead"] = overhead
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in sorted((scheduling.get("nodeSelector") or {}).items()):
        if selector.get(key, value) != value:
            text = f"runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}]"
            raise _forbidden(attributes, f"conflict: {text} = {selector[key]}")
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    if found is not None and found.get("scheduling") is not None:
        spec["tolerations"] = _merged([*spec["tolerations"], *(scheduling.get("tolerations") or ())])


def _check_overhead(attributes: "Attributes", spec: Object) -> None:
    wanted, given = _overhead(_runtime_class(attributes, spec)), spec.get("overhead")
    if wanted is None and given is not None:
        text = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        raise _forbidden(attributes, text)
    if wanted is not None and not are_equal(given or {}, wanted):
        raise _forbidden(attributes, _OTHER_OVERHEAD)


def _runtime_class(attributes: "Attributes", spec: Object) -> Object | None:
    name = spec.get("runtimeClassName")
    if name is None:
        return None
    found = attributes.stored("runtimeclasses.node.k8s.io", "", name)
    if found is None:
        raise _forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _overhead(runtime_class: Object | None) -> Object | None:
    found: Object | None = (runtime_class or {}).get("overhead")
    return None if found is None else found.get("podFixed") or {}


def _merged(tolerations: list[Object]) -> list[Object]:
    """Without those that another one includes; of two that are equal the first stays."""
    kept: list[Object] = []
    for place, one in enumerate(tolerations):
        later = (other for other in tolerations[place + 1 :] if other != one)
        if not any(_includes(other, one) for other in (*kept, *later)):
            kept.append(one)
    return kept


def _includes(wide: Object, narrow: Object) -> bool:
    """Whether whatever the one tolerates the other tolerates too."""
    if wide == narrow:
        return True
    is_any = wide.get("operator") == "Exists"
    if narrow.get("key", "") != wide.get("key", "") and (wide.get("key") or not is_any):
        return False
    if narrow.get("effect", "") != wide.get("effect", "") and wide.get("effect"):
        return False
    if wide.get("effect") == "NoExecute" and (most := wide.get("tolerationSeconds")) is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > most:
            return False
    if is_any:
        return True
    return narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", "")


def _forbidden(attributes: "Attributes", text: str) -> ApiError:
    resource, name = attributes.resource, attributes.name
    shown = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    shown = f'{shown} "{name}" is forbidden: {text}'
    return Forbidden(shown, name=name, group=resource.group, kind=resource.plural)
