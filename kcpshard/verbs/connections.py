"""Subresources that lead to a node: log, exec, attach, portforward and proxy of pods, nodes and services.

A pod that a physical cluster runs is connected to through that cluster's agent: what is decided here is who may, and is
offered. There is no kubelet behind a logical cluster itself. What can be judged without one is judged as
kube-apiserver does: the object, its container, its node and that node's address; in the end there is no way there.
The options, which come in the query, are the body: a JSON object of strings, `command` and `ports` of lists of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kcpshard.admission.attributes import CONNECT
from kcpshard.admission.subject import kind_of
from kcpshard.api.errors import (
    ApiError,
    BadRequest,
    FieldError,
    ServiceUnavailable,
    invalid,
    object_invalid,
    object_not_found,
)
from kcpshard.api.requests import Answer, Request
from kcpshard.connections.agent_tunnels import Pod, PodWay
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.verbs.access import check_also
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.subresource_admission import Written
from kcpshard.verbs.target import Target, find_target

CLUSTER_NAME, CLUSTER_UID = "kcp.dev/cluster", "kcp.dev/syncer"  # of a pod: the Cluster that runs it
Object = dict[str, Any]
Options = Mapping[str, Any]  # text, and lists of texts where a member may be repeated

_VERBS: Mapping[int, str] = {
    pb.GET: "get",
    pb.CREATE: "create",
    pb.UPDATE: "update",
    pb.PATCH: "patch",
    pb.DELETE: "delete",
}
# Of a log, and the least that each may be.
_NUMBERS = {"limitBytes": 1, "sinceSeconds": 1, "tailLines": 0}
_WAYS_IN = frozenset(("attach", "exec", "portforward"))
_FLAGS = ("stdin", "stdout", "stderr", "tty")
_SCHEMES = ("", "http", "https")
_PREFERRED = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


def connect(shard: Shard, request: Request) -> Outcome:
    target = find_target(shard, request, _VERBS[request.verb], pending=False)
    options: Options = orjson.loads(request.body or b"{}")
    if request.subresource != "log":  # which is a way to read, not a way in
        options = _admitted(shard, target, request, options)
    if request.subresource in _WAYS_IN:
        # A browser's way to upgrade is a GET: to read is not enough for going in.
        check_also(shard, request, target.cluster, "create")
    return _PLACES[request.resource, request.subresource](shard, target, request, options)


def _admitted(shard: Shard, target: Target, request: Request, options: Options) -> Options:
    """The options as admission leaves them. Raises its refusal."""
    _, version, kind = kind_of(target.resource, request.subresource)
    obj = {"kind": kind, "apiVersion": version, **_typed(options)}
    with Written(shard, target, request, obj, None, operation=CONNECT) as written:
        written.mutate()
        written.validate()
    return {**options, "container": obj.get("container") or ""}


def _typed(options: Options) -> Object:
    """The members of the options of any kind of connection, as an object has them; those that are not said are not."""
    found: Object = {}
    for member in _FLAGS:
        if (text := options.get(member)) is not None and text != "0" and text.lower() != "false":
            found[member] = True
    found |= {member: options[member] for member in ("container", "path") if options.get(member)}
    if (command := options.get("command")) is not None:
        found["command"] = command if isinstance(command, list) else [command]
    if (ports := options.get("ports")) is not None:
        found["ports"] = [_number(text) for text in (ports if isinstance(ports, list) else [ports])]
    return found


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _object(shard: Shard, target: Target, group_resource: str, namespace: str, name: str, word: str = "") -> Object:
    """Raises NotFound, of what `word` says."""
    value = None
    if target.cluster is not None:
        value = shard.store.pending(target.cluster, group_resource, namespace, name)
    if value is None:
        raise object_not_found("", word or group_resource, name)
    found: Object = orjson.loads(envelope.body(value))
    return found


# --- pods


def _log(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    _check_log_options(request.name, options)
    pod = _object(shard, target, "pods", request.namespace, request.name)
    _check_container(pod, options)
    if (offered := _offered(shard, target, request, options, pod)) is not None:
        return offered
    if not pod["spec"].get("nodeName"):
        return Answer(204, b"")  # it has run nowhere: it has written nothing
    raise _unreachable(shard, target, pod["spec"]["nodeName"], "pods")


def _check_log_options(name: str, options: Options) -> None:
    faults: list[FieldError] = []
    for member, least in _NUMBERS.items():
        text = options.get(member, "")
        if not text:
            continue
        number = _number(text)
        if number < least:
            faults.append(invalid(member, number, f"must be greater than or equal to {least}"))
    if faults:
        raise object_invalid("", "PodLogOptions", name, faults)


def _into_container(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    pod = _object(shard, target, "pods", request.namespace, request.name)
    _check_container(pod, options)
    return _connected(shard, target, request, options, pod)


def _into_pod(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    pod = _object(shard, target, "pods", request.namespace, request.name)
    return _connected(shard, target, request, options, pod)


def _connected(shard: Shard, target: Target, request: Request, options: Options, pod: Object) -> Answer:
    if (offered := _offered(shard, target, request, options, pod)) is not None:
        return offered
    raise _not_running(shard, target, pod)


def _offered(shard: Shard, target: Target, request: Request, options: Options, pod: Object) -> Answer | None:
    """The way to the physical cluster that runs the pod; None: none does. A pod that only says so leads nowhere: the
    agent looks for its namespace, which it has made itself."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    name, uid = labels.get(CLUSTER_NAME), labels.get(CLUSTER_UID)
    if not uid or not name or target.cluster is None:
        return None
    if not pod["spec"].get("nodeName"):
        raise BadRequest(f"pod {metadata['name']} does not have a host assigned")
    incarnation = _object(shard, target, "namespaces", "", "default")["metadata"]["uid"]
    path = target.cluster.path
    place = Pod(uid, name, path, incarnation, request.namespace, request.name, request.subresource)
    return shard.connections.offer(path, PodWay(shard.tunnels, place, _query(options)))


def _query(options: Options) -> list[tuple[str, str]]:
    """As a client would write them; what admission has left empty is not said."""
    found = []
    for member, value in options.items():
        texts = value if isinstance(value, list) else [value]
        found += [(member, str(text)) for text in texts if text != ""]
    return found


def _not_running(shard: Shard, target: Target, pod: Object) -> ApiError:
    node = pod["spec"].get("nodeName")
    if not node:
        return BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    return _unreachable(shard, target, node, "pods")


def _check_container(pod: Object, options: Options) -> None:
    name, wanted, spec = pod["metadata"]["name"], options.get("container", ""), pod["spec"]
    members = ("containers", "initContainers", "ephemeralContainers")
    known = {member: [c["name"] for c in spec.get(member) or ()] for member in members}
    if wanted:
        if not any(wanted in names for names in known.values()):
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if len(known["containers"]) == 1 or default in known["containers"]:
        return
    shown = f"a container name must be specified for pod {name}, choose one of: [{' '.join(known['containers'])}]"
    if known["initContainers"]:
        shown += f" or one of the init containers: [{' '.join(known['initContainers'])}]"
    if known["ephemeralContainers"]:
        shown += f" or one of the ephemeral containers: [{' '.join(known['ephemeralContainers'])}]"
    raise BadRequest(shown)


def _pod_proxy(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    name = _parts(request.name, "pod")[1]
    pod = _object(shard, target, "pods", request.namespace, name)
    status = pod.get("status") or {}
    if not status.get("podIP") and not status.get("podIPs"):
        raise BadRequest("address not allowed")
    raise _no_way(f"pod {request.namespace}/{name}")


# --- nodes and services


def _node_proxy(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    name = _parts(request.name, "node")[1]
    raise _unreachable(shard, target, name, "nodes")


def _unreachable(shard: Shard, target: Target, name: str, word: str) -> ApiError:
    """Why there is no connection to that node. kube-apiserver calls a missing one by what was to be connected to."""
    try:
        node = _object(shard, target, "nodes", "", name)
    except ApiError:
        return object_not_found("", word, name)
    addresses = (node.get("status") or {}).get("addresses") or []
    if not any(address.get("type") in _PREFERRED for address in addresses):
        shown = " ".join(f"{{{a.get('type', '')} {a.get('address', '')}}}" for a in addresses)
        return ApiError(f"no preferred addresses found; known addresses: [{shown}]")
    return _no_way(f"node {name}")


def _no_way(shown: str) -> ApiError:
    return ServiceUnavailable(f"there is no network between this server and {shown}")


def _service_proxy(shard: Shard, target: Target, request: Request, options: Options) -> Answer:
    _, name, port = _parts(request.name, "service")
    service = _object(shard, target, "services", request.namespace, name)
    ports = [p for p in service["spec"].get("ports") or () if port in ("", str(p.get("port")), p.get("name"))]
    if not ports and port:
        raise ServiceUnavailable(f'no service port {port} found for service "{name}"')
    endpoints = _object(shard, target, "endpoints", request.namespace, name, "services")
    if not any(subset.get("addresses") for subset in endpoints.get("subsets") or ()):
        raise ServiceUnavailable(f'no endpoints available for service "{request.name}"')
    raise _no_way(f"service {request.namespace}/{name}")


def _parts(text: str, word: str) -> tuple[str, str, str]:
    """Scheme, name and port of "name", "name:port" or "scheme:name:port"."""
    parts = text.split(":")
    found = ("", parts[0], "") if len(parts) == 1 else ("", *parts) if len(parts) == 2 else tuple(parts)
    if len(found) != 3 or found[0] not in _SCHEMES or not found[1]:
        raise BadRequest(f'invalid {word} request "{text}"')
    return found[0], found[1], found[2]


_PLACES: Mapping[tuple[str, str], Callable[[Shard, Target, Request, Options], Answer]] = {
    ("pods", "log"): _log,
    ("pods", "exec"): _into_container,
    ("pods", "attach"): _into_container,
    ("pods", "portforward"): _into_pod,
    ("pods", "proxy"): _pod_proxy,
    ("nodes", "proxy"): _node_proxy,
    ("services", "proxy"): _service_proxy,
}
CONNECTIONS = ("attach", "exec", "log", "portforward", "proxy")
