"""What a request is about: the logical cluster at its path and the resource type in it.

Decides who may address which path and what a path without a logical cluster means: a top-level one reads as empty and
is born by its first write (`births`), anything deeper does not exist, `system:*` belongs to the installation. Until
authorisation exists, every authenticated identity is an administrator of all other paths.
"""

from typing import NamedTuple, Protocol

from kcpshard.api.errors import Forbidden, MethodNotAllowed, NotFound, resource_not_found
from kcpshard.api.requests import Request, decode_identity
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

SYSTEM = "system:"
_ON_COLLECTIONS = frozenset(("create", "list", "deletecollection"))
_MASTERS = "system:masters"


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
    check_path(cluster, request)
    resource = shard.catalog.find(cluster, request.group, request.version, request.resource)
    if resource is None or not is_in_scope(resource, request):
        raise resource_not_found()
    subresource = request.subresource
    if subresource:
        if subresource not in resource.subresources:
            raise resource_not_found()
        if verb not in resource.subresources[subresource].verbs:
            raise method_not_allowed()
    elif verb not in resource.verbs or (verb in _ON_COLLECTIONS) is bool(request.name):
        raise method_not_allowed()
    return Target(cluster, resource, resource.storage_resource or resource)


class Addressed(Protocol):
    """A Request or a StartWatch."""

    @property
    def cluster(self) -> str: ...
    @property
    def identity(self) -> bytes: ...


def check_path(cluster: LogicalCluster | None, request: Addressed) -> None:
    """Raise unless the identity may address the path, and there is or may be a logical cluster."""
    path = request.cluster
    if path.startswith(SYSTEM):
        identity = decode_identity(request.identity)
        if identity.scope or _MASTERS not in identity.groups:
            raise Forbidden(
                f'logical cluster "{path}" is reserved for the installation', name=path, kind="logicalclusters"
            )
    elif cluster is None and ":" in path:
        raise NotFound(f'logical cluster "{path}" not found', name=path, kind="logicalclusters")


def is_in_scope(resource: Resource, request: Request) -> bool:
    """Whether the URL has a namespace where the type wants one; lists of a namespaced type may span all namespaces."""
    if request.namespace:
        return resource.namespaced
    return not (resource.namespaced and request.name)


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")
