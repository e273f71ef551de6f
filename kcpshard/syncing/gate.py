"""What the agent of a physical cluster may ask of a shard: the status of what is placed on it, its own heartbeat,
status and imports, Events about what it carries and the pods that it shows. Pure: what is stored is asked of `Stored`.

This is all that limits an agent: whatever passes is carried out whatever the roles of the logical cluster say.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import Forbidden, RequestEntityTooLarge
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.placed_index import LOCATION_LABEL, PLACED_LABEL

BODY_BYTES = 1024 * 1024
SYNCER = "kcp.dev/syncer"  # annotation and label of what an agent writes upstream: the uid of its Cluster
LEASES = "kcp-system"
_WRITES = frozenset({pb.CREATE, pb.UPDATE, pb.PATCH, pb.DELETE})


class Stored(NamedTuple):
    """Of what a request is about. Each function answers of the request's logical cluster.

    `is_placed`: whether that object (group, resource, namespace, name) is placed on this agent's Cluster.
    `has_placed`: whether anything in that namespace is.
    `labels`: of a stored object; None: there is none.
    """

    is_placed: Callable[[str, str, str, str], bool]
    has_placed: Callable[[str], bool]
    labels: Callable[[str, str, str, str], Mapping[str, str] | None]


def check(request: pb.Request, agent: pb.SyncAgent, stored: Stored) -> None:
    """Raises Forbidden, RequestEntityTooLarge."""
    if len(request.body) > BODY_BYTES:
        raise RequestEntityTooLarge(f"an agent's request has at most {BODY_BYTES} bytes")
    if not _may(request, agent, stored):
        raise Forbidden(
            f"the agent of {agent.name} may not {pb.Verb.Name(request.verb).lower()} "
            f"{request.resource}{f'/{request.subresource}' if request.subresource else ''} {request.name} here"
        )


def _may(request: pb.Request, agent: pb.SyncAgent, stored: Stored) -> bool:
    if request.view or request.impersonation or request.forwarded or request.more:
        return False
    what = (request.group, request.resource)
    if request.verb == pb.GET and what == ("", "namespaces"):
        return request.cluster == agent.cluster and not request.subresource  # is it still there
    if request.verb not in _WRITES:
        return False
    if request.cluster == agent.cluster and (answer := _own(request, what, agent, stored)) is not None:
        return answer
    if what == ("", "events") or what == ("events.k8s.io", "events"):
        return not request.subresource and request.verb in (pb.CREATE, pb.PATCH) and _has(request, stored)
    if what == ("", "pods"):
        return _shown_pod(request, agent, stored)
    if request.subresource == "status" and request.verb in (pb.UPDATE, pb.PATCH):
        return bool(request.name) and stored.is_placed(request.group, request.resource, request.namespace, request.name)
    return False


def _own(request: pb.Request, what: tuple[str, str], agent: pb.SyncAgent, stored: Stored) -> bool | None:
    """Of the logical cluster where the Cluster is registered; None: it is nothing of these."""
    match what:
        case ("coordination.k8s.io", "leases"):
            name = request.name or _metadata(request).get("name")
            place = request.namespace == LEASES and name == agent.name and not request.subresource
            return place and request.verb != pb.DELETE
        case ("cluster.example.dev", "clusters"):
            return request.name == agent.name and request.subresource == "status" and request.verb == pb.PATCH
        case ("apiresource.kcp.dev", "apiresourceimports"):
            return not request.subresource and _own_import(request, agent, stored)
        case ("", "namespaces"):
            return request.verb == pb.CREATE and _metadata(request).get("name") == LEASES
    return None


def _own_import(request: pb.Request, agent: pb.SyncAgent, stored: Stored) -> bool:
    if request.verb == pb.PATCH:
        return False
    if request.verb != pb.CREATE:
        labels = stored.labels(request.group, request.resource, "", request.name)
        if labels is not None and labels.get(LOCATION_LABEL) != agent.name:
            return False
    if request.verb == pb.DELETE:
        return True
    document = _document(request)
    location = (document.get("spec") or {}).get("location")
    return bool(location == agent.name and _labels(document).get(LOCATION_LABEL) == agent.name)


def _shown_pod(request: pb.Request, agent: pb.SyncAgent, stored: Stored) -> bool:
    """A pod of the physical cluster, which nobody else has made, in a namespace with something placed there."""
    if request.subresource not in ("", "status"):
        return False
    if request.name:
        labels = stored.labels("", "pods", request.namespace, request.name)
        if labels is not None and labels.get(SYNCER) != agent.uid:
            return False
    if request.verb == pb.DELETE:
        return bool(request.name)
    if request.verb == pb.PATCH and request.patch_type != pb.APPLY:
        return False
    labels = _labels(_document(request))
    ours = labels.get(SYNCER) == agent.uid and labels.get(PLACED_LABEL) == agent.name
    return ours and stored.has_placed(request.namespace)


def _has(request: pb.Request, stored: Stored) -> bool:
    return bool(request.namespace) and stored.has_placed(request.namespace)


def _document(request: pb.Request) -> Mapping[str, Any]:
    try:
        found = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _metadata(request: pb.Request) -> Mapping[str, Any]:
    found = _document(request).get("metadata")
    return found if isinstance(found, dict) else {}


def _labels(document: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = document.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return labels if isinstance(labels, dict) else {}
