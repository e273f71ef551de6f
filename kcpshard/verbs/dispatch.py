"""From a request to its verb. The numbers are those of the enum Verb in proto/shard.proto."""

from collections.abc import Callable, Mapping

from kcpshard.api.requests import Request
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.authorize import authorize
from kcpshard.verbs.binding import bind
from kcpshard.verbs.connections import CONNECTIONS, connect
from kcpshard.verbs.create import create
from kcpshard.verbs.delete import delete
from kcpshard.verbs.delete_collection import delete_collection
from kcpshard.verbs.document import document
from kcpshard.verbs.eviction import evict
from kcpshard.verbs.get import get
from kcpshard.verbs.history import history
from kcpshard.verbs.list import list_objects
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.patch import patch
from kcpshard.verbs.scale_writes import patch_scale, update_scale
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import method_not_allowed
from kcpshard.verbs.update import update


def unknown(shard: Shard, request: Request) -> Outcome:
    raise method_not_allowed()


_VERBS: tuple[Callable[[Shard, Request], Outcome], ...] = (
    unknown,
    get,
    list_objects,
    create,
    update,
    patch,
    delete,
    delete_collection,
    document,
    authorize,
    history,
)


# Subresources whose writes are no writes of the object in its own form.
_SUBRESOURCES: Mapping[tuple[int, str], Callable[[Shard, Request], Outcome]] = {
    (pb.UPDATE, "scale"): update_scale,
    (pb.PATCH, "scale"): patch_scale,
    (pb.CREATE, "binding"): bind,
    (pb.CREATE, "eviction"): evict,
    **{(verb, name): connect for verb in (pb.GET, pb.CREATE, pb.UPDATE, pb.PATCH, pb.DELETE) for name in CONNECTIONS},
}


def dispatch(shard: Shard, request: Request) -> Outcome:
    """Begin the request. Raises ApiError, NotOwned, NotDurable, ReadOnly; see `verbs.outcome` for what it returns."""
    verb = request.verb
    if request.subresource and (own := _SUBRESOURCES.get((verb, request.subresource))) is not None:
        return own(shard, request)
    if verb == pb.CREATE and request.resource == "bindings" and not request.group:
        return bind(shard, request)
    return _VERBS[verb if verb < len(_VERBS) else 0](shard, request)
