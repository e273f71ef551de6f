"""What a request is about: the logical cluster at its path and the resource type in it.

Decides what a path without a logical cluster means: a top-level one reads as empty and is born by its first write
(`births`), anything deeper does not exist. Who may address it has been decided before (`access`): somebody without
rights never learns which of the two it is.
"""

from typing import NamedTuple

from kcpshard.admission.audit_annotations import note
from kcpshard.api.errors import MethodNotAllowed, NotFound, PageNotFound, resource_not_found
from kcpshard.api.requests import Request
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

SYSTEM = "system:"
_ON_COLLECTIONS = frozenset(("create", "list", "deletecollection"))


class Target(NamedTuple):
    """`stored` is the type under which objects are kept: `resource` itself unless it is another version of it."""

    cluster: LogicalCluster | None  # None: not born yet
    resource: Resource
    stored: Resource


def find_target(shard: Shard, request: Request, verb: str, *, pending: bool) -> Target:
    """The target of `verb` on the main resource or the subresource named. Raises ApiError, NotOwned and, unless
    `pending`, NotDurable for a logical cluster whose birth is not durable."""
    path = request.cluster
    shard.ownership.check(path)
    cluster = shard.store.pending_cluster(path) if pending else shard.store.find_cluster(path)
    check_path(cluster, path)
    resource = shard.catalog.find(cluster, request.group, request.version, request.resource)
    if resource is None or not is_in_scope(resource, request):
        raise nothing_there(shard, cluster, request.group)
    subresource = request.subresource
    if subresource:
        if subresource not in resource.subresources:
            raise resource_not_found()
        if verb not in resource.subresources[subresource].verbs:
            raise method_not_allowed()
    elif verb not in resource.verbs or (verb in _ON_COLLECTIONS) is bool(request.name):
        raise method_not_allowed()
    if resource.deprecation:
        note({"k8s.io/deprecated": "true"})
    return Target(cluster, resource, resource.storage_resource or resource)


def nothing_there(shard: Shard, cluster: LogicalCluster | None, group: str) -> NotFound:
    """The answer for a path without a resource: of an API group that is served a Status, else a page not found."""
    if group and all(group != resource.group for resource in shard.catalog.resources(cluster)):
        return PageNotFound()
    return resource_not_found()


def check_path(cluster: LogicalCluster | None, path: str) -> None:
    """Raise unless there is or may be a logical cluster."""
    if cluster is None and ":" in path and not path.startswith(SYSTEM):
        raise NotFound(f'logical cluster "{path}" not found', name=path, kind="logicalclusters")


def is_in_scope(resource: Resource, request: Request) -> bool:
    """Whether the URL has a namespace where the type wants one; lists of a namespaced type may span all namespaces."""
    if request.namespace:
        return resource.namespaced
    return not (resource.namespaced and request.name)


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")
